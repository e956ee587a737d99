"""KServe's client as it is, against published models."""


def test_its_answers_have_the_bits_of_the_sessions(run, scores):
    facts, found = run("kserve", "infer")
    assert [facts[key] for key in ("live", "ready", "model")] == [True, True, True]
    assert (facts["id"], facts["name"]) == ("k", "oip-rx")
    assert facts["refused"][0] == "NOT_FOUND"
    for each in found.values():
        assert (each.shape, each.dtype, each.tobytes()) == (scores.shape, scores.dtype, scores.tobytes())
