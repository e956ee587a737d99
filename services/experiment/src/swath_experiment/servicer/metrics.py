"""Methods that read curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from swath.errors import SwathError
from swath.experiment_service import experiment_service_pb2 as pb
from swath_experiment.service.metrics import MOST_POINTS, Index, Point, Wanted
from swath_experiment.servicer.calls import Methods, refused

_MOST = 100_000


class MetricMethods(Methods):
    """Methods that read curves."""

    async def GetLatestLoggerData(
        self, request: pb.GetLatestLoggerDataRequest, context: Any
    ) -> pb.GetLatestLoggerDataResponse:
        """Return points of curves: a whole history, what is new, or what there is."""
        who = self.who(context)
        experiment = await self.services.experiment(who)
        wanted = Wanted(
            metrics=frozenset(request.metric_names),
            hashes=frozenset(request.experiment_hashes),
            steps=(request.x_min, request.x_max) if request.has_x_range else None,
            points=min(_MOST, request.max_points) if request.max_points > 0 else MOST_POINTS,
        )
        answer = pb.GetLatestLoggerDataResponse(weightslab_version=f"Swath {version('swath-experiment')}")
        metrics = self.services.metrics
        if request.break_by_slices:
            # Slices are means over samples with tags: none is written while runs write no signals of samples.
            return answer
        if request.request_full_history:
            answer.applied_max_points = wanted.points
            if request.index_only:
                index = await metrics.index(experiment, wanted)
            else:
                points, index = await metrics.history(experiment, who, wanted)
                answer.points.extend(map(_point, points))
            answer.curves.extend(_indices(index))
        else:
            answer.points.extend(map(_point, await metrics.latest(experiment, who, wanted)))
        return answer

    async def GetSignalTrajectory(
        self, request: pb.GetSignalTrajectoryRequest, context: Any
    ) -> pb.GetSignalTrajectoryResponse:
        """Return what a signal was for samples."""
        try:
            found = await self.services.samples.trajectories(
                await self.experiment(context), request.signal_name, request.sample_ids, request.max_points
            )
        except SwathError as error:
            return refused(error, pb.GetSignalTrajectoryResponse)
        return pb.GetSignalTrajectoryResponse(
            success=True,
            signal_name=request.signal_name,
            trajectories=[pb.SignalTrajectory(sample_id=each, value=values) for each, values in found.items()],
        )

    async def GetStepSamples(self, request: pb.StepSamplesRequest, context: Any) -> pb.StepSamplesResponse:
        """Return the samples behind a point of a curve."""
        try:
            found = await self.services.samples.at_step(
                await self.experiment(context), request.metric_name, request.model_age
            )
        except SwathError as error:
            return refused(error, pb.StepSamplesResponse)
        shown = list(found.items())[: request.max_samples or None]
        return pb.StepSamplesResponse(
            success=True,
            sample_ids=[each for each, _ in shown],
            sample_values=[value for _, value in shown],
            total_available=len(found),
        )


def _point(each: Point) -> pb.LoggerDataPoint:
    return pb.LoggerDataPoint(
        metric_name=each.metric,
        model_age=each.step,
        metric_value=each.value,
        experiment_hash=each.hash,
        timestamp=int(each.at),
        is_evaluation_marker=each.is_evaluation,
        split_name=each.split,
        evaluation_tags=each.tags,
        point_note=each.note,
    )


def _indices(index: Iterable[Index]) -> list[pb.SignalCurveIndex]:
    return [
        pb.SignalCurveIndex(
            metric_name=each.metric,
            experiment_hash=each.hash,
            first_step=each.summary.first_step,
            last_step=each.summary.last_step,
            point_count=each.summary.count,
            value_min=0.0 if math.isnan(each.summary.minimum) else each.summary.minimum,
            value_max=0.0 if math.isnan(each.summary.maximum) else each.summary.maximum,
        )
        for each in index
    ]
