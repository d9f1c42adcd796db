#!/usr/bin/env bash
# How the settings of the `tiny_imagenet` recipe were chosen: on a held-out tenth of train, seed 0.
#
# Shows   top-1 of one student, alone and distilled, at each setting that was tried.
# On      Tiny ImageNet, the official archive or a part of it: scripts/tiny_imagenet_select.sh DIR
# Takes   about an hour on two CPU cores. The README quotes what it printed.
set -euo pipefail
data=${1:?usage: tiny_imagenet_select.sh DIR, what kdk train --data-dir takes}
runs=${2:-runs/select}
train() { kdk train --data-dir "$data" --validate-on-holdout --export-dir "$runs/exports" --epochs 5 --views 0 "$@"; }
student=resnet8:stem_stride=2
lskd=lskd:temperature=2,weight=9,ce_weight=0.1

# The teacher, trained as a plain student of its own.
kdk train --data-dir "$data" --validate-on-holdout --method none --student resnet18:width=0.5,stem_stride=2 \
  --batch-size 256 --views 0 --epochs 8 --schedule one-cycle --learning-rate 0.002 --run "$runs/teacher"
teacher="$runs/teacher/student.keras"

alone() { train --method none --student "$student" "$@"; }
alone --batch-size 1024 --schedule constant --learning-rate 0.001 --run "$runs/alone-1024-constant"
alone --batch-size 1024 --schedule one-cycle --learning-rate 0.004 --run "$runs/alone-1024-cycle"
alone --batch-size 256 --schedule constant --learning-rate 0.001 --run "$runs/alone-256-constant"
alone --batch-size 256 --schedule one-cycle --learning-rate 0.003 --run "$runs/alone-256-cycle"
alone --batch-size 256 --schedule one-cycle --learning-rate 0.006 --run "$runs/alone-256-cycle-6"

taught() { train --teacher "$teacher" --student "$student" "$@"; }
taught --method "$lskd" --batch-size 1024 --schedule constant --learning-rate 0.001 --run "$runs/lskd-1024-constant"
taught --method "$lskd" --batch-size 1024 --schedule one-cycle --learning-rate 0.004 --run "$runs/lskd-1024-cycle"
taught --method "$lskd" --batch-size 256 --schedule one-cycle --learning-rate 0.003 --run "$runs/lskd-256-cycle"
taught --method "$lskd" --batch-size 256 --schedule one-cycle --learning-rate 0.006 --run "$runs/lskd-256-cycle-6"
taught --method kd:temperature=4,weight=0.9,ce_weight=0.1 --batch-size 256 --schedule one-cycle --learning-rate 0.006 \
  --run "$runs/kd-256-cycle-6"
