"""Options of deployments and of the host: names, values and errors."""

from __future__ import annotations

import pytest

from swath import serve
from swath.serve.config import AutoscalingConfig, DeploymentOptions, gRPCOptions


def _noop() -> None: ...


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match=r"unknown deployment option 'num_replica', did you mean 'num_replicas'\?"):
        serve.deployment(num_replica=2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_replicas": 0}, "num_replicas: must be a positive number, got 0"),
        ({"num_replicas": -1}, "num_replicas: must be a positive number, got -1"),
        (
            {"num_replicas": 2, "autoscaling_config": {"max_replicas": 3}},
            "num_replicas and autoscaling_config contradict",
        ),
        ({"version": "v1"}, "version: versions are told apart by themselves"),
        ({"max_ongoing_requests": 0}, "max_ongoing_requests: .* greater than or equal to 1, got 0"),
        ({"max_queued_requests": -2}, "max_queued_requests: .* greater than or equal to -1, got -2"),
        ({"health_check_period_s": 0}, "health_check_period_s: .* greater than 0, got 0"),
        ({"autoscaling_config": {"min_replica": 1}}, "unknown option 'min_replica', did you mean 'min_replicas'"),
        (
            {"autoscaling_config": {"min_replicas": 3, "max_replicas": 2}},
            r"max_replicas \(2\) is below min_replicas \(3\)",
        ),
        ({"ray_actor_options": {"num_cpu": 1}}, "ray_actor_options: unknown key 'num_cpu', did you mean 'num_cpus'"),
        ({"ray_actor_options": {"num_gpus": -1}}, "num_gpus must be a number from 0 on, got -1"),
        ({"name": "a#b"}, "name: expected text without '#', got 'a#b'"),
    ],
)
def test_a_value_that_cannot_be_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        serve.deployment(**options)(_noop)  # type: ignore[arg-type]


def test_defaults_are_ray_serves() -> None:
    options = DeploymentOptions()
    assert (options.replicas, options.max_ongoing_requests, options.max_queued_requests) == (1, 5, -1)
    assert (options.health_check_period_s, options.health_check_timeout_s) == (10, 30)
    assert (options.graceful_shutdown_timeout_s, options.max_constructor_retry_count) == (20, 20)
    config = AutoscalingConfig()
    assert (config.min_replicas, config.max_replicas, config.target_ongoing_requests) == (1, 1, 2)
    assert (config.look_back_period_s, config.upscale_delay_s, config.downscale_delay_s) == (30, 30, 600)
    assert (gRPCOptions().port, gRPCOptions().host) == (9000, "127.0.0.1")


def test_auto_scales_from_one_to_a_hundred() -> None:
    scaling = DeploymentOptions().changed({"num_replicas": "auto"}).scaling
    assert scaling is not None
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (1, 100, 2)


def test_options_change_a_copy_and_keep_what_is_not_named() -> None:
    first = serve.deployment(max_ongoing_requests=7, num_replicas=2)(_noop)
    second = first.options(num_replicas=3, name="other")
    assert (first.name, first.num_replicas) == ("_noop", 2)
    assert (second.name, second.num_replicas, second.max_ongoing_requests) == ("other", 3, 7)


def test_scaling_takes_the_place_of_a_number_and_the_other_way_round() -> None:
    fixed = serve.deployment(num_replicas=2)(_noop)
    scaled = fixed.options(autoscaling_config={"max_replicas": 4})
    assert scaled.settings.scaling == AutoscalingConfig(max_replicas=4)
    assert scaled.options(num_replicas=5).settings.scaling is None


def test_a_deployment_is_not_called() -> None:
    made = serve.deployment(_noop)
    with pytest.raises(RuntimeError, match=r"deployment '_noop' cannot be called here"):
        made()
    with pytest.raises(TypeError, match=r"deployment '_noop' cannot be called here"):
        made(1)


@pytest.mark.parametrize("target", [3, "text", serve.deployment(_noop)])
def test_only_classes_and_functions_are_deployed(target: object) -> None:
    with pytest.raises(TypeError):
        serve.deployment(target)  # type: ignore[call-overload]


def test_options_of_the_host_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"grpc_options: unknown option 'prot', did you mean 'port'\?"):
        serve.start(grpc_options={"prot": 9000})
    with pytest.raises(ValueError, match="tls_cert and tls_key go together"):
        serve.start(grpc_options={"tls_cert": "a.pem"})


def test_run_refuses_what_is_no_application() -> None:
    made = serve.deployment(_noop)
    with pytest.raises(TypeError, match=r"got the deployment '_noop': bind it"):
        serve.run(made)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got int"):
        serve.run(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Invalid route_prefix 'r2', must start with a forward slash \('/'\)\."):
        serve.run(made.bind(), route_prefix="r2")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: serve.multiplexed(max_num_models_per_replica=0), ValueError),
        (lambda: serve.multiplexed(max_num_models_per_replica=-2), ValueError),
        (lambda: serve.multiplexed(_noop), TypeError),  # type: ignore[call-overload]
        (lambda: serve.batch(max_batch_size=0), ValueError),
        (lambda: serve.batch(batch_wait_timeout_s=-1), ValueError),
        (lambda: serve.batch(_noop), TypeError),  # type: ignore[call-overload]
    ],
)
def test_decorators_of_methods_refuse_what_they_cannot_do(call: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()  # type: ignore[operator]
