import keras

from kd_keras.teacher_cache import fingerprint


def test_a_fingerprint_follows_weights_and_layers_and_no_names(made, tmp_path):
    path = tmp_path / "teacher.keras"
    made.teacher.save(path)
    first = keras.models.load_model(path)
    assert fingerprint.fingerprint(first) == fingerprint.fingerprint(made.teacher)
    clone = keras.models.clone_model(made.teacher)
    clone.set_weights(made.teacher.get_weights())
    assert fingerprint.fingerprint(clone) == fingerprint.fingerprint(made.teacher)
    weights = first.get_weights()
    weights[0] = weights[0] + 1e-3
    first.set_weights(weights)
    assert fingerprint.fingerprint(first) != fingerprint.fingerprint(made.teacher)


def test_what_stands_before_a_model_counts(made):
    inputs = keras.Input((8, 8, 3))
    behind = [
        keras.Model(inputs, made.teacher(keras.layers.Rescaling(scale)(inputs)))
        for scale in (0.5, 0.5, 0.25)
    ]
    one, same, other = map(fingerprint.fingerprint, behind)
    assert one == same != other


def test_a_teacher_of_operations_has_one_fingerprint_however_often_it_is_made(made):
    from kd_keras.models import ensemble

    twice = [ensemble.mean_of_logits([made.teacher, made.teacher], (2.0, 1.0)) for _ in range(2)]
    assert fingerprint.fingerprint(twice[0]) == fingerprint.fingerprint(twice[1])
    other = ensemble.mean_of_logits([made.teacher, made.teacher], (1.0, 1.0))
    assert fingerprint.fingerprint(other) != fingerprint.fingerprint(twice[0])
