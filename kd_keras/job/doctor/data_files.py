"""Datasets on this machine, the cache folder, and whether the hosts of downloads answer."""

import contextlib
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from kd_keras import data
from kd_keras.data.tiny_imagenet import archive
from kd_keras.job.cache import cache_folder
from kd_keras.job.doctor.finding import FINE, MISSING, Finding
from kd_keras.results.terminal import paths

SECONDS = 3.0  # that a host has to answer
#: Hosts of downloads, and what is downloaded from them.
HOSTS = {
    "cs231n.stanford.edu": "Tiny ImageNet",
    "storage.googleapis.com": "ImageNet weights of app: models",
}
_USUAL_FOLDERS = (".", "data", "~/data", "~/datasets", "~/Downloads")


def findings(data_dir: Path | None = None) -> Iterator[Finding]:
    """Tiny ImageNet, caches, and the network.

    Args:
        data_dir: the user's folder with Tiny ImageNet, beside the usual places.
    """
    yield Finding("digits", FINE, "in scikit-learn, which is installed with kd_keras")
    yield _tiny_imagenet(data_dir)
    yield _caches()
    yield from _network()


def _tiny_imagenet(data_dir: Path | None) -> Finding:
    stores = [e for e in cache_folder.entries() if e.kind == "store" and "tiny_imagenet" in e.about]
    if stores and data_dir is None:
        return Finding("tiny_imagenet", FINE, f"prepared in {paths.short_path(stores[0].path)}")
    downloads = data.cache_folder() / cache_folder.DOWNLOADS
    folders = [data_dir] if data_dir else [downloads, *map(Path, _USUAL_FOLDERS)]
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            path = archive.find(folder.expanduser())
            if path.name.startswith(archive.ROOT) or data_dir:
                option = "" if folder == downloads else f"; give --data-dir {folder}"
                return Finding("tiny_imagenet", FINE, f"{paths.short_path(path)}{option}")
    folder_list = str(data_dir) if data_dir else ", ".join(map(str, _USUAL_FOLDERS))
    return Finding(
        "tiny_imagenet",
        MISSING,
        f"not in {folder_list}",
        "kdk train downloads it (248 MB); or give --data-dir FOLDER",
    )


def _caches() -> Finding:
    entries = cache_folder.entries()
    sizes = dict.fromkeys(sorted({entry.kind for entry in entries}), 0)
    for entry in entries:
        sizes[entry.kind] += entry.bytes
    size_texts = [f"{kind} {paths.megabytes(size)}" for kind, size in sizes.items()]
    removable_entries = cache_folder.removable(entries)
    text = ", ".join(size_texts) or "empty"
    if removable_entries:
        size = sum(entry.bytes for entry in removable_entries)
        text += f"; {paths.megabytes(size)} can go (kdk cache --prune)"
    return Finding("caches", FINE, text)


def _network() -> list[Finding]:
    answers: dict[str, str] = {}

    def look_up(host: str) -> None:
        answers[host] = _reach(host)

    # In threads, since looking up a name has no time limit of its own.
    threads = [threading.Thread(target=look_up, args=(host,), daemon=True) for host in HOSTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    return [
        _host_finding(host, what, answers.get(host, "no answer")) for host, what in HOSTS.items()
    ]


def _host_finding(host: str, what: str, error: str) -> Finding:
    if not error:
        return Finding("network", FINE, f"{host} answers ({what})")
    return Finding(
        "network",
        MISSING,
        f"{host}: {error}",
        f"needed to download {what}; what is on this machine needs no network",
    )


def _reach(host: str) -> str:
    """Connects to a host, or to the proxy that leads to it; returns what went wrong, or ""."""
    proxy = urllib.request.getproxies().get("http")
    address = (host, 80)
    if proxy and not urllib.request.proxy_bypass(host):
        url = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        address = (url.hostname or host, url.port or 80)
    try:
        socket.create_connection(address, timeout=SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
