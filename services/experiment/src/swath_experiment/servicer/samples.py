"""Methods that read and edit samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swath.errors import SwathError
from swath.experiment_service import experiment_service_pb2 as pb
from swath_experiment.runs.samples import Picture
from swath_experiment.service.edits import EditKind, Wish
from swath_experiment.service.samples import DISCARDED, Counts
from swath_experiment.servicer.calls import Methods, refused

if TYPE_CHECKING:
    from swath.samples.histograms import Share

_KINDS: Mapping[int, EditKind] = {
    pb.EDIT_OVERRIDE: "override",
    pb.EDIT_ACCUMULATE: "accumulate",
    pb.EDIT_REMOVE: "remove",
}
_MOST_BINS = 512
_THUMBNAIL = 180
_FULL = 4096
_PICTURES = {"raw_data": "cube", "target": "mask", "pred_mask": "prediction", "score": "score"}
"""Stats that are pictures, and what they are of."""


class SampleMethods(Methods):
    """Methods that read and edit samples."""

    async def ApplyDataQuery(self, request: pb.DataQueryRequest, context: Any) -> pb.DataQueryResponse:
        """Change the caller's view, or count."""
        samples = self.services.samples
        try:
            experiment = await self.experiment(context)
            query = request.query.strip()
            if not query:
                return _counted(await samples.counts(experiment))
            if query == "@overview":
                counts = await samples.counts(experiment)
                text = f"{counts.every} samples, {counts.discarded} discarded, {len(counts.tags)} tags"
                return pb.DataQueryResponse(
                    success=True, message=text, agent_intent_type=pb.INTENT_ANALYSIS, analysis_result=text
                )
            counts = await samples.query(experiment, query)
            answer = _counted(counts)
            answer.agent_intent_type = pb.INTENT_FILTER
            answer.message = f"{counts.seen} of {counts.every} samples"
            return answer
        except SwathError as error:
            return refused(error, pb.DataQueryResponse)

    async def GetDataSamples(self, request: pb.DataSamplesRequest, context: Any) -> pb.DataSamplesResponse:
        """Return samples of the caller's view, with pictures where they are asked for."""
        try:
            experiment = await self.experiment(context)
            seen, rows = await self.services.samples.page(experiment, request.start_index, request.records_cnt)
            wanted = frozenset(request.stats_to_retrieve)
            records = [_record(row, wanted, ("origin", "task_type", DISCARDED)) for row in rows]
            if request.include_raw_data or request.include_transformed_data:
                box = _box(request.resize_width, request.resize_height)
                for record in records:
                    for name, kind in _PICTURES.items():
                        if not wanted or name in wanted:
                            picture = await seen.table.picture(record.sample_id, kind, *box)
                            if picture is not None:
                                record.data_stats.append(_pictured(name, picture))
        except SwathError as error:
            return refused(error, pb.DataSamplesResponse)
        every = len(seen.table.ids())
        return pb.DataSamplesResponse(
            success=True,
            data_records=records,
            is_subview=len(seen.ids) != every,
            view_count=len(seen.ids),
            total_count=every,
        )

    async def GetMetaData(self, request: pb.GetMetaDataRequest, context: Any) -> pb.GetMetaDataResponse:
        """Return metadata of samples of the caller's view."""
        try:
            found = await self.services.samples.metadata(
                await self.experiment(context), request.start_index, request.records_cnt, request.modal_sample_id
            )
        except SwathError as error:
            return refused(error, pb.GetMetaDataResponse)
        answer = pb.GetMetaDataResponse(
            success=True, all_metadata_names=found.columns, grid_records=map(_record, found.rows)
        )
        if found.sample is not None:
            answer.modal_record.CopyFrom(_record(found.sample))
        return answer

    async def GetHistogram(self, request: pb.HistogramRequest, context: Any) -> pb.HistogramResponse:
        """Sum up a column of the caller's view."""
        bins = min(request.max_bins, _MOST_BINS) if request.max_bins > 0 else _MOST_BINS
        try:
            seen, found = await self.services.samples.histogram(await self.experiment(context), request.column, bins)
        except SwathError as error:
            return refused(error, pb.HistogramResponse)
        answer = pb.HistogramResponse(success=True, total_rows=len(seen.ids), is_categorical=found.bins is None)
        for each in found.bins or ():
            bars = _sub_bars(each.shares)
            answer.bins.append(
                pb.HistogramBin(min=each.low, max=each.high, avg=each.mean, count=each.count, sub_bars=bars)
            )
        for bar in found.bars:
            answer.categorical_bars.append(
                pb.CategoricalHistogramBar(label=bar.label, count=bar.count, sub_bars=_sub_bars(bar.shares))
            )
        return answer

    async def EditDataSample(self, request: pb.DataEditsRequest, context: Any) -> pb.DataEditsResponse:
        """Edit tags, discards and copies of columns."""
        wish = Wish(
            name=request.stat_name,
            kind=_KINDS.get(request.type, "override"),
            text=request.string_value,
            number=request.float_value,
            flag=request.bool_value,
            samples=list(dict.fromkeys(request.samples_ids)) if not request.sample_origins else request.samples_ids,
            origins=request.sample_origins,
            is_categorical=request.is_categorical,
            categories=request.categories,
            values=request.sample_values,
            hash=request.experiment_hash,
        )
        try:
            text = await self.services.edits.edit(await self.experiment(context), wish)
        except SwathError as error:
            return refused(error, pb.DataEditsResponse)
        return pb.DataEditsResponse(success=True, message=text)

    async def GetDataSplits(self, request: pb.Empty, context: Any) -> pb.DataSplitsResponse:
        """Return the names of splits."""
        splits = await self.services.samples.splits(await self.experiment(context))
        return pb.DataSplitsResponse(success=True, split_names=splits)

    async def GetSamples(self, request: pb.BatchSampleRequest, context: Any) -> pb.BatchSampleResponse:
        """Return pictures of samples; what is not there is left out."""
        table = await self.services.samples.table(await self.experiment(context))
        answer = pb.BatchSampleResponse()
        known = frozenset(() if table is None else table.ids())
        box = _box(request.resize_width, request.resize_height)
        for sample in request.sample_ids:
            if (
                table is None
                or sample not in known
                or (request.origin and table.rows([sample])[0]["origin"] != request.origin)
            ):
                continue
            told = pb.SampleRequestResponse(sample_id=sample, origin=request.origin)
            for field, kind in (("raw_data", "cube"), ("data", "cube"), ("mask", "mask"), ("prediction", "prediction")):
                picture = await table.picture(sample, kind, *box)
                if picture is not None:
                    setattr(told, field, picture.webp)
            answer.samples.append(told)
        return answer

    async def ExportAnnotations(
        self, request: pb.ExportAnnotationsRequest, context: Any
    ) -> pb.ExportAnnotationsResponse:
        """Refuse: labels are masks of cubes."""
        return pb.ExportAnnotationsResponse(
            success=False,
            message="labels are masks of hyperspectral cubes, for which these tools have no format: "
            "they are in the files of the data module",
        )

    async def GetProjection(self, request: pb.ProjectionRequest, context: Any) -> pb.ProjectionResponse:
        """Refuse: no run writes coordinates of its samples."""
        return pb.ProjectionResponse(success=False, message="no run of this experiment has projected its samples")


def _counted(counts: Counts) -> pb.DataQueryResponse:
    return pb.DataQueryResponse(
        success=True,
        number_of_all_samples=counts.every,
        number_of_samples_in_the_loop=counts.every - counts.discarded,
        number_of_discarded_samples=counts.discarded,
        unique_tags=counts.tags,
        categorical_tags=[pb.CategoricalTagDef(name=name, categories=each) for name, each in counts.categories.items()],
    )


def _record(row: Mapping[str, Any], wanted: frozenset[str] = frozenset(), always: Sequence[str] = ()) -> pb.DataRecord:
    stats = []
    for name, value in row.items():
        if name != "sample_id" and value is not None and (not wanted or name in wanted or name in always):
            stats.append(_stat(name, value))
    return pb.DataRecord(sample_id=row["sample_id"], data_stats=stats)


def _stat(name: str, value: Any) -> pb.DataStat:
    if isinstance(value, bool):
        return pb.DataStat(name=name, type="string", shape=[1], value_string=str(int(value)))
    if isinstance(value, (int, float)):
        return pb.DataStat(name=name, type="scalar", shape=[1], value=[value], value_string=f"{value:.9g}")
    return pb.DataStat(name=name, type="string", shape=[1], value_string=str(value))


def _pictured(name: str, picture: Picture) -> pb.DataStat:
    return pb.DataStat(name=name, type="bytes", shape=picture.shape, thumbnail=picture.webp)


def _box(width: int, height: int) -> tuple[int, int]:
    """Return the box that a picture is to fit into: pixels, percent where they are negative, or the usual height."""
    if width < 0 and height < 0:
        return -width * _FULL // 100, -height * _FULL // 100
    if width > 0 and height > 0:
        return width, height
    return _FULL, _THUMBNAIL


def _sub_bars(shares: Sequence[Share]) -> list[pb.HistogramSubBar]:
    return [pb.HistogramSubBar(origin=each.origin, discarded=each.discarded, count=each.count) for each in shares]
