from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WeightOperationType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ZEROFY: _ClassVar[WeightOperationType]
    REINITIALIZE: _ClassVar[WeightOperationType]
    FREEZE: _ClassVar[WeightOperationType]
    REMOVE_NEURONS: _ClassVar[WeightOperationType]
    ADD_NEURONS: _ClassVar[WeightOperationType]

class ZerofyPredicate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ZEROFY_PREDICATE_NONE: _ClassVar[ZerofyPredicate]
    ZEROFY_PREDICATE_WITH_FROZEN: _ClassVar[ZerofyPredicate]
    ZEROFY_PREDICATE_WITH_OLDER: _ClassVar[ZerofyPredicate]

class AgentIntentType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTENT_UNKNOWN: _ClassVar[AgentIntentType]
    INTENT_FILTER: _ClassVar[AgentIntentType]
    INTENT_ANALYSIS: _ClassVar[AgentIntentType]

class SampleEditType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EDIT_OVERRIDE: _ClassVar[SampleEditType]
    EDIT_ACCUMULATE: _ClassVar[SampleEditType]
    EDIT_REMOVE: _ClassVar[SampleEditType]

class AgentProviderType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROVIDER_OPENROUTER: _ClassVar[AgentProviderType]
    PROVIDER_OPENCODE: _ClassVar[AgentProviderType]

class AnnotationExportFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_FORMAT_CVAT: _ClassVar[AnnotationExportFormat]
    EXPORT_FORMAT_LABEL_STUDIO: _ClassVar[AnnotationExportFormat]
    EXPORT_FORMAT_V7_DARWIN: _ClassVar[AnnotationExportFormat]

class ProjectionLassoMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROJECTION_LASSO_NONE: _ClassVar[ProjectionLassoMode]
    PROJECTION_LASSO_REPLACE: _ClassVar[ProjectionLassoMode]
    PROJECTION_LASSO_ADD: _ClassVar[ProjectionLassoMode]
    PROJECTION_LASSO_REFINE: _ClassVar[ProjectionLassoMode]
ZEROFY: WeightOperationType
REINITIALIZE: WeightOperationType
FREEZE: WeightOperationType
REMOVE_NEURONS: WeightOperationType
ADD_NEURONS: WeightOperationType
ZEROFY_PREDICATE_NONE: ZerofyPredicate
ZEROFY_PREDICATE_WITH_FROZEN: ZerofyPredicate
ZEROFY_PREDICATE_WITH_OLDER: ZerofyPredicate
INTENT_UNKNOWN: AgentIntentType
INTENT_FILTER: AgentIntentType
INTENT_ANALYSIS: AgentIntentType
EDIT_OVERRIDE: SampleEditType
EDIT_ACCUMULATE: SampleEditType
EDIT_REMOVE: SampleEditType
PROVIDER_OPENROUTER: AgentProviderType
PROVIDER_OPENCODE: AgentProviderType
EXPORT_FORMAT_CVAT: AnnotationExportFormat
EXPORT_FORMAT_LABEL_STUDIO: AnnotationExportFormat
EXPORT_FORMAT_V7_DARWIN: AnnotationExportFormat
PROJECTION_LASSO_NONE: ProjectionLassoMode
PROJECTION_LASSO_REPLACE: ProjectionLassoMode
PROJECTION_LASSO_ADD: ProjectionLassoMode
PROJECTION_LASSO_REFINE: ProjectionLassoMode

class GetLatestLoggerDataRequest(_message.Message):
    __slots__ = ("request_full_history", "max_points", "break_by_slices", "tags", "graph_name", "x_min", "x_max", "has_x_range", "metric_names", "experiment_hashes", "index_only")
    REQUEST_FULL_HISTORY_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    BREAK_BY_SLICES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    GRAPH_NAME_FIELD_NUMBER: _ClassVar[int]
    X_MIN_FIELD_NUMBER: _ClassVar[int]
    X_MAX_FIELD_NUMBER: _ClassVar[int]
    HAS_X_RANGE_FIELD_NUMBER: _ClassVar[int]
    METRIC_NAMES_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_HASHES_FIELD_NUMBER: _ClassVar[int]
    INDEX_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_full_history: bool
    max_points: int
    break_by_slices: bool
    tags: _containers.RepeatedScalarFieldContainer[str]
    graph_name: str
    x_min: int
    x_max: int
    has_x_range: bool
    metric_names: _containers.RepeatedScalarFieldContainer[str]
    experiment_hashes: _containers.RepeatedScalarFieldContainer[str]
    index_only: bool
    def __init__(self, request_full_history: bool = ..., max_points: _Optional[int] = ..., break_by_slices: bool = ..., tags: _Optional[_Iterable[str]] = ..., graph_name: _Optional[str] = ..., x_min: _Optional[int] = ..., x_max: _Optional[int] = ..., has_x_range: bool = ..., metric_names: _Optional[_Iterable[str]] = ..., experiment_hashes: _Optional[_Iterable[str]] = ..., index_only: bool = ...) -> None: ...

class SignalCurveIndex(_message.Message):
    __slots__ = ("metric_name", "experiment_hash", "first_step", "last_step", "point_count", "value_min", "value_max")
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    POINT_COUNT_FIELD_NUMBER: _ClassVar[int]
    VALUE_MIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_MAX_FIELD_NUMBER: _ClassVar[int]
    metric_name: str
    experiment_hash: str
    first_step: int
    last_step: int
    point_count: int
    value_min: float
    value_max: float
    def __init__(self, metric_name: _Optional[str] = ..., experiment_hash: _Optional[str] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ..., point_count: _Optional[int] = ..., value_min: _Optional[float] = ..., value_max: _Optional[float] = ...) -> None: ...

class SignalOutlier(_message.Message):
    __slots__ = ("sample_id", "value")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    value: float
    def __init__(self, sample_id: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class LoggerDataPoint(_message.Message):
    __slots__ = ("metric_name", "model_age", "metric_value", "experiment_hash", "timestamp", "sample_id", "is_evaluation_marker", "split_name", "evaluation_tags", "point_note", "audit_mode", "outliers", "outlier_count", "sample_count", "trend_value", "trend_margin", "has_trend_band", "value_min", "value_max", "has_value_range")
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_AGE_FIELD_NUMBER: _ClassVar[int]
    METRIC_VALUE_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    IS_EVALUATION_MARKER_FIELD_NUMBER: _ClassVar[int]
    SPLIT_NAME_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_TAGS_FIELD_NUMBER: _ClassVar[int]
    POINT_NOTE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_MODE_FIELD_NUMBER: _ClassVar[int]
    OUTLIERS_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_COUNT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TREND_VALUE_FIELD_NUMBER: _ClassVar[int]
    TREND_MARGIN_FIELD_NUMBER: _ClassVar[int]
    HAS_TREND_BAND_FIELD_NUMBER: _ClassVar[int]
    VALUE_MIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_MAX_FIELD_NUMBER: _ClassVar[int]
    HAS_VALUE_RANGE_FIELD_NUMBER: _ClassVar[int]
    metric_name: str
    model_age: int
    metric_value: float
    experiment_hash: str
    timestamp: int
    sample_id: str
    is_evaluation_marker: bool
    split_name: str
    evaluation_tags: _containers.RepeatedScalarFieldContainer[str]
    point_note: str
    audit_mode: bool
    outliers: _containers.RepeatedCompositeFieldContainer[SignalOutlier]
    outlier_count: int
    sample_count: int
    trend_value: float
    trend_margin: float
    has_trend_band: bool
    value_min: float
    value_max: float
    has_value_range: bool
    def __init__(self, metric_name: _Optional[str] = ..., model_age: _Optional[int] = ..., metric_value: _Optional[float] = ..., experiment_hash: _Optional[str] = ..., timestamp: _Optional[int] = ..., sample_id: _Optional[str] = ..., is_evaluation_marker: bool = ..., split_name: _Optional[str] = ..., evaluation_tags: _Optional[_Iterable[str]] = ..., point_note: _Optional[str] = ..., audit_mode: bool = ..., outliers: _Optional[_Iterable[_Union[SignalOutlier, _Mapping]]] = ..., outlier_count: _Optional[int] = ..., sample_count: _Optional[int] = ..., trend_value: _Optional[float] = ..., trend_margin: _Optional[float] = ..., has_trend_band: bool = ..., value_min: _Optional[float] = ..., value_max: _Optional[float] = ..., has_value_range: bool = ...) -> None: ...

class GetLatestLoggerDataResponse(_message.Message):
    __slots__ = ("points", "weightslab_version", "curves", "applied_max_points")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTSLAB_VERSION_FIELD_NUMBER: _ClassVar[int]
    CURVES_FIELD_NUMBER: _ClassVar[int]
    APPLIED_MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[LoggerDataPoint]
    weightslab_version: str
    curves: _containers.RepeatedCompositeFieldContainer[SignalCurveIndex]
    applied_max_points: int
    def __init__(self, points: _Optional[_Iterable[_Union[LoggerDataPoint, _Mapping]]] = ..., weightslab_version: _Optional[str] = ..., curves: _Optional[_Iterable[_Union[SignalCurveIndex, _Mapping]]] = ..., applied_max_points: _Optional[int] = ...) -> None: ...

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NeuronId(_message.Message):
    __slots__ = ("layer_id", "neuron_id")
    LAYER_ID_FIELD_NUMBER: _ClassVar[int]
    NEURON_ID_FIELD_NUMBER: _ClassVar[int]
    layer_id: int
    neuron_id: int
    def __init__(self, layer_id: _Optional[int] = ..., neuron_id: _Optional[int] = ...) -> None: ...

class WeightOperation(_message.Message):
    __slots__ = ("op_type", "layer_id", "neuron_ids", "neurons_to_add", "zerofy_from_incoming_ids", "zerofy_to_neuron_ids", "zerofy_predicates")
    OP_TYPE_FIELD_NUMBER: _ClassVar[int]
    LAYER_ID_FIELD_NUMBER: _ClassVar[int]
    NEURON_IDS_FIELD_NUMBER: _ClassVar[int]
    NEURONS_TO_ADD_FIELD_NUMBER: _ClassVar[int]
    ZEROFY_FROM_INCOMING_IDS_FIELD_NUMBER: _ClassVar[int]
    ZEROFY_TO_NEURON_IDS_FIELD_NUMBER: _ClassVar[int]
    ZEROFY_PREDICATES_FIELD_NUMBER: _ClassVar[int]
    op_type: WeightOperationType
    layer_id: int
    neuron_ids: _containers.RepeatedCompositeFieldContainer[NeuronId]
    neurons_to_add: int
    zerofy_from_incoming_ids: _containers.RepeatedScalarFieldContainer[int]
    zerofy_to_neuron_ids: _containers.RepeatedScalarFieldContainer[int]
    zerofy_predicates: _containers.RepeatedScalarFieldContainer[ZerofyPredicate]
    def __init__(self, op_type: _Optional[_Union[WeightOperationType, str]] = ..., layer_id: _Optional[int] = ..., neuron_ids: _Optional[_Iterable[_Union[NeuronId, _Mapping]]] = ..., neurons_to_add: _Optional[int] = ..., zerofy_from_incoming_ids: _Optional[_Iterable[int]] = ..., zerofy_to_neuron_ids: _Optional[_Iterable[int]] = ..., zerofy_predicates: _Optional[_Iterable[_Union[ZerofyPredicate, str]]] = ...) -> None: ...

class WeightsOperationRequest(_message.Message):
    __slots__ = ("weight_operation",)
    WEIGHT_OPERATION_FIELD_NUMBER: _ClassVar[int]
    weight_operation: WeightOperation
    def __init__(self, weight_operation: _Optional[_Union[WeightOperation, _Mapping]] = ...) -> None: ...

class WeightsOperationResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class HyperParameters(_message.Message):
    __slots__ = ("experiment_name", "training_steps_to_do", "learning_rate", "batch_size", "full_eval_frequency", "checkpont_frequency", "is_training", "nb_steps", "auditor_mode", "train_batch_size", "val_batch_size", "test_batch_size", "evaluation_mode", "evaluation_config")
    EXPERIMENT_NAME_FIELD_NUMBER: _ClassVar[int]
    TRAINING_STEPS_TO_DO_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    FULL_EVAL_FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    CHECKPONT_FREQUENCY_FIELD_NUMBER: _ClassVar[int]
    IS_TRAINING_FIELD_NUMBER: _ClassVar[int]
    NB_STEPS_FIELD_NUMBER: _ClassVar[int]
    AUDITOR_MODE_FIELD_NUMBER: _ClassVar[int]
    TRAIN_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    VAL_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    TEST_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_MODE_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_CONFIG_FIELD_NUMBER: _ClassVar[int]
    experiment_name: str
    training_steps_to_do: int
    learning_rate: float
    batch_size: int
    full_eval_frequency: int
    checkpont_frequency: int
    is_training: bool
    nb_steps: int
    auditor_mode: bool
    train_batch_size: int
    val_batch_size: int
    test_batch_size: int
    evaluation_mode: bool
    evaluation_config: str
    def __init__(self, experiment_name: _Optional[str] = ..., training_steps_to_do: _Optional[int] = ..., learning_rate: _Optional[float] = ..., batch_size: _Optional[int] = ..., full_eval_frequency: _Optional[int] = ..., checkpont_frequency: _Optional[int] = ..., is_training: bool = ..., nb_steps: _Optional[int] = ..., auditor_mode: bool = ..., train_batch_size: _Optional[int] = ..., val_batch_size: _Optional[int] = ..., test_batch_size: _Optional[int] = ..., evaluation_mode: bool = ..., evaluation_config: _Optional[str] = ...) -> None: ...

class MetricsStatus(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class AnnotatStatus(_message.Message):
    __slots__ = ("name", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    metadata: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., metadata: _Optional[_Mapping[str, float]] = ...) -> None: ...

class TrainingStatusEx(_message.Message):
    __slots__ = ("timestamp", "experiment_name", "model_age", "metrics_status", "annotat_status")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_AGE_FIELD_NUMBER: _ClassVar[int]
    METRICS_STATUS_FIELD_NUMBER: _ClassVar[int]
    ANNOTAT_STATUS_FIELD_NUMBER: _ClassVar[int]
    timestamp: str
    experiment_name: str
    model_age: int
    metrics_status: MetricsStatus
    annotat_status: AnnotatStatus
    def __init__(self, timestamp: _Optional[str] = ..., experiment_name: _Optional[str] = ..., model_age: _Optional[int] = ..., metrics_status: _Optional[_Union[MetricsStatus, _Mapping]] = ..., annotat_status: _Optional[_Union[AnnotatStatus, _Mapping]] = ...) -> None: ...

class HyperParameterCommand(_message.Message):
    __slots__ = ("hyper_parameters",)
    HYPER_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    hyper_parameters: HyperParameters
    def __init__(self, hyper_parameters: _Optional[_Union[HyperParameters, _Mapping]] = ...) -> None: ...

class DenySamplesOperation(_message.Message):
    __slots__ = ("sample_ids", "accumulate")
    SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATE_FIELD_NUMBER: _ClassVar[int]
    sample_ids: _containers.RepeatedScalarFieldContainer[str]
    accumulate: bool
    def __init__(self, sample_ids: _Optional[_Iterable[str]] = ..., accumulate: bool = ...) -> None: ...

class LoadCheckpointOperation(_message.Message):
    __slots__ = ("checkpoint_id",)
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: int
    def __init__(self, checkpoint_id: _Optional[int] = ...) -> None: ...

class PlotNoteOperation(_message.Message):
    __slots__ = ("metric_name", "experiment_hash", "model_age", "note")
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    MODEL_AGE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    metric_name: str
    experiment_hash: str
    model_age: int
    note: str
    def __init__(self, metric_name: _Optional[str] = ..., experiment_hash: _Optional[str] = ..., model_age: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class SaveCheckpointOperation(_message.Message):
    __slots__ = ("save_architecture", "save_optimizer")
    SAVE_ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    SAVE_OPTIMIZER_FIELD_NUMBER: _ClassVar[int]
    save_architecture: bool
    save_optimizer: bool
    def __init__(self, save_architecture: bool = ..., save_optimizer: bool = ...) -> None: ...

class RestartInstanceOperation(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TrainerCommand(_message.Message):
    __slots__ = ("hyper_parameter_change", "get_hyper_parameters", "get_interactive_layers", "get_data_records", "deny_samples_operation", "get_single_layer_info_id", "load_checkpoint_operation", "deny_eval_samples_operation", "remove_from_denylist_operation", "remove_eval_from_denylist_operation", "plot_note_operation", "save_checkpoint_operation", "restart_operation")
    HYPER_PARAMETER_CHANGE_FIELD_NUMBER: _ClassVar[int]
    GET_HYPER_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    GET_INTERACTIVE_LAYERS_FIELD_NUMBER: _ClassVar[int]
    GET_DATA_RECORDS_FIELD_NUMBER: _ClassVar[int]
    DENY_SAMPLES_OPERATION_FIELD_NUMBER: _ClassVar[int]
    GET_SINGLE_LAYER_INFO_ID_FIELD_NUMBER: _ClassVar[int]
    LOAD_CHECKPOINT_OPERATION_FIELD_NUMBER: _ClassVar[int]
    DENY_EVAL_SAMPLES_OPERATION_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FROM_DENYLIST_OPERATION_FIELD_NUMBER: _ClassVar[int]
    REMOVE_EVAL_FROM_DENYLIST_OPERATION_FIELD_NUMBER: _ClassVar[int]
    PLOT_NOTE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SAVE_CHECKPOINT_OPERATION_FIELD_NUMBER: _ClassVar[int]
    RESTART_OPERATION_FIELD_NUMBER: _ClassVar[int]
    hyper_parameter_change: HyperParameterCommand
    get_hyper_parameters: bool
    get_interactive_layers: bool
    get_data_records: str
    deny_samples_operation: DenySamplesOperation
    get_single_layer_info_id: int
    load_checkpoint_operation: LoadCheckpointOperation
    deny_eval_samples_operation: DenySamplesOperation
    remove_from_denylist_operation: DenySamplesOperation
    remove_eval_from_denylist_operation: DenySamplesOperation
    plot_note_operation: PlotNoteOperation
    save_checkpoint_operation: SaveCheckpointOperation
    restart_operation: RestartInstanceOperation
    def __init__(self, hyper_parameter_change: _Optional[_Union[HyperParameterCommand, _Mapping]] = ..., get_hyper_parameters: bool = ..., get_interactive_layers: bool = ..., get_data_records: _Optional[str] = ..., deny_samples_operation: _Optional[_Union[DenySamplesOperation, _Mapping]] = ..., get_single_layer_info_id: _Optional[int] = ..., load_checkpoint_operation: _Optional[_Union[LoadCheckpointOperation, _Mapping]] = ..., deny_eval_samples_operation: _Optional[_Union[DenySamplesOperation, _Mapping]] = ..., remove_from_denylist_operation: _Optional[_Union[DenySamplesOperation, _Mapping]] = ..., remove_eval_from_denylist_operation: _Optional[_Union[DenySamplesOperation, _Mapping]] = ..., plot_note_operation: _Optional[_Union[PlotNoteOperation, _Mapping]] = ..., save_checkpoint_operation: _Optional[_Union[SaveCheckpointOperation, _Mapping]] = ..., restart_operation: _Optional[_Union[RestartInstanceOperation, _Mapping]] = ...) -> None: ...

class HyperParameterDesc(_message.Message):
    __slots__ = ("label", "name", "type", "numerical_value", "string_value")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NUMERICAL_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    label: str
    name: str
    type: str
    numerical_value: float
    string_value: str
    def __init__(self, label: _Optional[str] = ..., name: _Optional[str] = ..., type: _Optional[str] = ..., numerical_value: _Optional[float] = ..., string_value: _Optional[str] = ...) -> None: ...

class NeuronStatistics(_message.Message):
    __slots__ = ("neuron_id", "neuron_age", "train_trigger_rate", "eval_trigger_rate", "learning_rate", "incoming_lr")
    class IncomingLrEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: float
        def __init__(self, key: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...
    NEURON_ID_FIELD_NUMBER: _ClassVar[int]
    NEURON_AGE_FIELD_NUMBER: _ClassVar[int]
    TRAIN_TRIGGER_RATE_FIELD_NUMBER: _ClassVar[int]
    EVAL_TRIGGER_RATE_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    INCOMING_LR_FIELD_NUMBER: _ClassVar[int]
    neuron_id: NeuronId
    neuron_age: int
    train_trigger_rate: float
    eval_trigger_rate: float
    learning_rate: float
    incoming_lr: _containers.ScalarMap[int, float]
    def __init__(self, neuron_id: _Optional[_Union[NeuronId, _Mapping]] = ..., neuron_age: _Optional[int] = ..., train_trigger_rate: _Optional[float] = ..., eval_trigger_rate: _Optional[float] = ..., learning_rate: _Optional[float] = ..., incoming_lr: _Optional[_Mapping[int, float]] = ...) -> None: ...

class LayerRepresentation(_message.Message):
    __slots__ = ("layer_id", "layer_name", "layer_type", "neurons_count", "incoming_neurons_count", "kernel_size", "stride", "neurons_statistics")
    LAYER_ID_FIELD_NUMBER: _ClassVar[int]
    LAYER_NAME_FIELD_NUMBER: _ClassVar[int]
    LAYER_TYPE_FIELD_NUMBER: _ClassVar[int]
    NEURONS_COUNT_FIELD_NUMBER: _ClassVar[int]
    INCOMING_NEURONS_COUNT_FIELD_NUMBER: _ClassVar[int]
    KERNEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    NEURONS_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    layer_id: int
    layer_name: str
    layer_type: str
    neurons_count: int
    incoming_neurons_count: int
    kernel_size: int
    stride: int
    neurons_statistics: _containers.RepeatedCompositeFieldContainer[NeuronStatistics]
    def __init__(self, layer_id: _Optional[int] = ..., layer_name: _Optional[str] = ..., layer_type: _Optional[str] = ..., neurons_count: _Optional[int] = ..., incoming_neurons_count: _Optional[int] = ..., kernel_size: _Optional[int] = ..., stride: _Optional[int] = ..., neurons_statistics: _Optional[_Iterable[_Union[NeuronStatistics, _Mapping]]] = ...) -> None: ...

class ActivationRequest(_message.Message):
    __slots__ = ("layer_id", "sample_id", "origin")
    LAYER_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    layer_id: int
    sample_id: str
    origin: str
    def __init__(self, layer_id: _Optional[int] = ..., sample_id: _Optional[str] = ..., origin: _Optional[str] = ...) -> None: ...

class ActivationMap(_message.Message):
    __slots__ = ("neuron_id", "values", "H", "W")
    NEURON_ID_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    H_FIELD_NUMBER: _ClassVar[int]
    W_FIELD_NUMBER: _ClassVar[int]
    neuron_id: int
    values: _containers.RepeatedScalarFieldContainer[float]
    H: int
    W: int
    def __init__(self, neuron_id: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ..., H: _Optional[int] = ..., W: _Optional[int] = ...) -> None: ...

class ActivationResponse(_message.Message):
    __slots__ = ("layer_type", "neurons_count", "activations")
    LAYER_TYPE_FIELD_NUMBER: _ClassVar[int]
    NEURONS_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    layer_type: str
    neurons_count: int
    activations: _containers.RepeatedCompositeFieldContainer[ActivationMap]
    def __init__(self, layer_type: _Optional[str] = ..., neurons_count: _Optional[int] = ..., activations: _Optional[_Iterable[_Union[ActivationMap, _Mapping]]] = ...) -> None: ...

class TaskField(_message.Message):
    __slots__ = ("name", "float_value", "int_value", "string_value", "bytes_value", "bool_value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FLOAT_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    float_value: float
    int_value: int
    string_value: str
    bytes_value: bytes
    bool_value: bool
    def __init__(self, name: _Optional[str] = ..., float_value: _Optional[float] = ..., int_value: _Optional[int] = ..., string_value: _Optional[str] = ..., bytes_value: _Optional[bytes] = ..., bool_value: bool = ...) -> None: ...

class RecordMetadata(_message.Message):
    __slots__ = ("sample_id", "sample_label", "sample_prediction", "sample_last_loss", "sample_encounters", "sample_discarded", "extra_fields", "prediction_raw", "task_type", "sample_label_text", "sample_prediction_text")
    class SampleLastLossEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_LABEL_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_PREDICTION_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_LAST_LOSS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ENCOUNTERS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_DISCARDED_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELDS_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_RAW_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_LABEL_TEXT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_PREDICTION_TEXT_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    sample_label: _containers.RepeatedScalarFieldContainer[int]
    sample_prediction: _containers.RepeatedScalarFieldContainer[int]
    sample_last_loss: _containers.ScalarMap[str, float]
    sample_encounters: int
    sample_discarded: bool
    extra_fields: _containers.RepeatedCompositeFieldContainer[TaskField]
    prediction_raw: bytes
    task_type: str
    sample_label_text: _containers.RepeatedScalarFieldContainer[str]
    sample_prediction_text: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sample_id: _Optional[str] = ..., sample_label: _Optional[_Iterable[int]] = ..., sample_prediction: _Optional[_Iterable[int]] = ..., sample_last_loss: _Optional[_Mapping[str, float]] = ..., sample_encounters: _Optional[int] = ..., sample_discarded: bool = ..., extra_fields: _Optional[_Iterable[_Union[TaskField, _Mapping]]] = ..., prediction_raw: _Optional[bytes] = ..., task_type: _Optional[str] = ..., sample_label_text: _Optional[_Iterable[str]] = ..., sample_prediction_text: _Optional[_Iterable[str]] = ...) -> None: ...

class SampleStatistics(_message.Message):
    __slots__ = ("origin", "sample_count", "records", "task_type")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    origin: str
    sample_count: int
    records: _containers.RepeatedCompositeFieldContainer[RecordMetadata]
    task_type: str
    def __init__(self, origin: _Optional[str] = ..., sample_count: _Optional[int] = ..., records: _Optional[_Iterable[_Union[RecordMetadata, _Mapping]]] = ..., task_type: _Optional[str] = ...) -> None: ...

class CommandResponse(_message.Message):
    __slots__ = ("success", "message", "hyper_parameters_descs", "layer_representations", "sample_statistics")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HYPER_PARAMETERS_DESCS_FIELD_NUMBER: _ClassVar[int]
    LAYER_REPRESENTATIONS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    hyper_parameters_descs: _containers.RepeatedCompositeFieldContainer[HyperParameterDesc]
    layer_representations: _containers.RepeatedCompositeFieldContainer[LayerRepresentation]
    sample_statistics: SampleStatistics
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., hyper_parameters_descs: _Optional[_Iterable[_Union[HyperParameterDesc, _Mapping]]] = ..., layer_representations: _Optional[_Iterable[_Union[LayerRepresentation, _Mapping]]] = ..., sample_statistics: _Optional[_Union[SampleStatistics, _Mapping]] = ...) -> None: ...

class SampleRequest(_message.Message):
    __slots__ = ("sample_id", "origin")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    origin: str
    def __init__(self, sample_id: _Optional[str] = ..., origin: _Optional[str] = ...) -> None: ...

class SampleRequestResponse(_message.Message):
    __slots__ = ("sample_id", "origin", "label", "data", "error_message", "raw_data", "mask", "prediction")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RAW_DATA_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    origin: str
    label: int
    data: bytes
    error_message: str
    raw_data: bytes
    mask: bytes
    prediction: bytes
    def __init__(self, sample_id: _Optional[str] = ..., origin: _Optional[str] = ..., label: _Optional[int] = ..., data: _Optional[bytes] = ..., error_message: _Optional[str] = ..., raw_data: _Optional[bytes] = ..., mask: _Optional[bytes] = ..., prediction: _Optional[bytes] = ...) -> None: ...

class BatchSampleRequest(_message.Message):
    __slots__ = ("sample_ids", "origin", "resize_width", "resize_height")
    SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    RESIZE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    RESIZE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    sample_ids: _containers.RepeatedScalarFieldContainer[str]
    origin: str
    resize_width: int
    resize_height: int
    def __init__(self, sample_ids: _Optional[_Iterable[str]] = ..., origin: _Optional[str] = ..., resize_width: _Optional[int] = ..., resize_height: _Optional[int] = ...) -> None: ...

class BatchSampleResponse(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: _containers.RepeatedCompositeFieldContainer[SampleRequestResponse]
    def __init__(self, samples: _Optional[_Iterable[_Union[SampleRequestResponse, _Mapping]]] = ...) -> None: ...

class WeightsRequest(_message.Message):
    __slots__ = ("neuron_id",)
    NEURON_ID_FIELD_NUMBER: _ClassVar[int]
    neuron_id: NeuronId
    def __init__(self, neuron_id: _Optional[_Union[NeuronId, _Mapping]] = ...) -> None: ...

class WeightsResponse(_message.Message):
    __slots__ = ("neuron_id", "layer_name", "layer_type", "incoming", "outgoing", "kernel_size", "weights", "success", "error_message")
    NEURON_ID_FIELD_NUMBER: _ClassVar[int]
    LAYER_NAME_FIELD_NUMBER: _ClassVar[int]
    LAYER_TYPE_FIELD_NUMBER: _ClassVar[int]
    INCOMING_FIELD_NUMBER: _ClassVar[int]
    OUTGOING_FIELD_NUMBER: _ClassVar[int]
    KERNEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    neuron_id: NeuronId
    layer_name: str
    layer_type: str
    incoming: int
    outgoing: int
    kernel_size: int
    weights: _containers.RepeatedScalarFieldContainer[float]
    success: bool
    error_message: str
    def __init__(self, neuron_id: _Optional[_Union[NeuronId, _Mapping]] = ..., layer_name: _Optional[str] = ..., layer_type: _Optional[str] = ..., incoming: _Optional[int] = ..., outgoing: _Optional[int] = ..., kernel_size: _Optional[int] = ..., weights: _Optional[_Iterable[float]] = ..., success: bool = ..., error_message: _Optional[str] = ...) -> None: ...

class DataQueryRequest(_message.Message):
    __slots__ = ("query", "accumulate", "is_natural_language")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATE_FIELD_NUMBER: _ClassVar[int]
    IS_NATURAL_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    query: str
    accumulate: bool
    is_natural_language: bool
    def __init__(self, query: _Optional[str] = ..., accumulate: bool = ..., is_natural_language: bool = ...) -> None: ...

class CategoricalTagDef(_message.Message):
    __slots__ = ("name", "categories")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    categories: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., categories: _Optional[_Iterable[str]] = ...) -> None: ...

class DataQueryResponse(_message.Message):
    __slots__ = ("success", "message", "number_of_all_samples", "number_of_samples_in_the_loop", "number_of_discarded_samples", "unique_tags", "agent_intent_type", "analysis_result", "categorical_tags")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_OF_ALL_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    NUMBER_OF_SAMPLES_IN_THE_LOOP_FIELD_NUMBER: _ClassVar[int]
    NUMBER_OF_DISCARDED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_TAGS_FIELD_NUMBER: _ClassVar[int]
    AGENT_INTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_RESULT_FIELD_NUMBER: _ClassVar[int]
    CATEGORICAL_TAGS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    number_of_all_samples: int
    number_of_samples_in_the_loop: int
    number_of_discarded_samples: int
    unique_tags: _containers.RepeatedScalarFieldContainer[str]
    agent_intent_type: AgentIntentType
    analysis_result: str
    categorical_tags: _containers.RepeatedCompositeFieldContainer[CategoricalTagDef]
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., number_of_all_samples: _Optional[int] = ..., number_of_samples_in_the_loop: _Optional[int] = ..., number_of_discarded_samples: _Optional[int] = ..., unique_tags: _Optional[_Iterable[str]] = ..., agent_intent_type: _Optional[_Union[AgentIntentType, str]] = ..., analysis_result: _Optional[str] = ..., categorical_tags: _Optional[_Iterable[_Union[CategoricalTagDef, _Mapping]]] = ...) -> None: ...

class DataSamplesRequest(_message.Message):
    __slots__ = ("start_index", "records_cnt", "include_transformed_data", "include_raw_data", "stats_to_retrieve", "resize_width", "resize_height")
    START_INDEX_FIELD_NUMBER: _ClassVar[int]
    RECORDS_CNT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TRANSFORMED_DATA_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_RAW_DATA_FIELD_NUMBER: _ClassVar[int]
    STATS_TO_RETRIEVE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    RESIZE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    start_index: int
    records_cnt: int
    include_transformed_data: bool
    include_raw_data: bool
    stats_to_retrieve: _containers.RepeatedScalarFieldContainer[str]
    resize_width: int
    resize_height: int
    def __init__(self, start_index: _Optional[int] = ..., records_cnt: _Optional[int] = ..., include_transformed_data: bool = ..., include_raw_data: bool = ..., stats_to_retrieve: _Optional[_Iterable[str]] = ..., resize_width: _Optional[int] = ..., resize_height: _Optional[int] = ...) -> None: ...

class DataStat(_message.Message):
    __slots__ = ("name", "type", "shape", "value", "value_string", "thumbnail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_STRING_FIELD_NUMBER: _ClassVar[int]
    THUMBNAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    value_string: str
    thumbnail: bytes
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., value: _Optional[_Iterable[float]] = ..., value_string: _Optional[str] = ..., thumbnail: _Optional[bytes] = ...) -> None: ...

class DataRecord(_message.Message):
    __slots__ = ("sample_id", "data_stats")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_STATS_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    data_stats: _containers.RepeatedCompositeFieldContainer[DataStat]
    def __init__(self, sample_id: _Optional[str] = ..., data_stats: _Optional[_Iterable[_Union[DataStat, _Mapping]]] = ...) -> None: ...

class DataSamplesResponse(_message.Message):
    __slots__ = ("success", "message", "data_records", "is_subview", "view_count", "total_count")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_RECORDS_FIELD_NUMBER: _ClassVar[int]
    IS_SUBVIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    data_records: _containers.RepeatedCompositeFieldContainer[DataRecord]
    is_subview: bool
    view_count: int
    total_count: int
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., data_records: _Optional[_Iterable[_Union[DataRecord, _Mapping]]] = ..., is_subview: bool = ..., view_count: _Optional[int] = ..., total_count: _Optional[int] = ...) -> None: ...

class HistogramSubBar(_message.Message):
    __slots__ = ("origin", "discarded", "count")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    origin: str
    discarded: bool
    count: int
    def __init__(self, origin: _Optional[str] = ..., discarded: bool = ..., count: _Optional[int] = ...) -> None: ...

class HistogramBin(_message.Message):
    __slots__ = ("min", "max", "avg", "count", "sub_bars")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    AVG_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_BARS_FIELD_NUMBER: _ClassVar[int]
    min: float
    max: float
    avg: float
    count: int
    sub_bars: _containers.RepeatedCompositeFieldContainer[HistogramSubBar]
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ..., avg: _Optional[float] = ..., count: _Optional[int] = ..., sub_bars: _Optional[_Iterable[_Union[HistogramSubBar, _Mapping]]] = ...) -> None: ...

class CategoricalHistogramBar(_message.Message):
    __slots__ = ("label", "count", "sub_bars")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUB_BARS_FIELD_NUMBER: _ClassVar[int]
    label: str
    count: int
    sub_bars: _containers.RepeatedCompositeFieldContainer[HistogramSubBar]
    def __init__(self, label: _Optional[str] = ..., count: _Optional[int] = ..., sub_bars: _Optional[_Iterable[_Union[HistogramSubBar, _Mapping]]] = ...) -> None: ...

class HistogramRequest(_message.Message):
    __slots__ = ("column", "max_bins")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    MAX_BINS_FIELD_NUMBER: _ClassVar[int]
    column: str
    max_bins: int
    def __init__(self, column: _Optional[str] = ..., max_bins: _Optional[int] = ...) -> None: ...

class HistogramResponse(_message.Message):
    __slots__ = ("success", "message", "total_rows", "bins", "is_categorical", "categorical_bars")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ROWS_FIELD_NUMBER: _ClassVar[int]
    BINS_FIELD_NUMBER: _ClassVar[int]
    IS_CATEGORICAL_FIELD_NUMBER: _ClassVar[int]
    CATEGORICAL_BARS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    total_rows: int
    bins: _containers.RepeatedCompositeFieldContainer[HistogramBin]
    is_categorical: bool
    categorical_bars: _containers.RepeatedCompositeFieldContainer[CategoricalHistogramBar]
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., total_rows: _Optional[int] = ..., bins: _Optional[_Iterable[_Union[HistogramBin, _Mapping]]] = ..., is_categorical: bool = ..., categorical_bars: _Optional[_Iterable[_Union[CategoricalHistogramBar, _Mapping]]] = ...) -> None: ...

class GetMetaDataRequest(_message.Message):
    __slots__ = ("start_index", "records_cnt", "modal_sample_id")
    START_INDEX_FIELD_NUMBER: _ClassVar[int]
    RECORDS_CNT_FIELD_NUMBER: _ClassVar[int]
    MODAL_SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    start_index: int
    records_cnt: int
    modal_sample_id: str
    def __init__(self, start_index: _Optional[int] = ..., records_cnt: _Optional[int] = ..., modal_sample_id: _Optional[str] = ...) -> None: ...

class GetMetaDataResponse(_message.Message):
    __slots__ = ("success", "message", "all_metadata_names", "grid_records", "modal_record")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ALL_METADATA_NAMES_FIELD_NUMBER: _ClassVar[int]
    GRID_RECORDS_FIELD_NUMBER: _ClassVar[int]
    MODAL_RECORD_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    all_metadata_names: _containers.RepeatedScalarFieldContainer[str]
    grid_records: _containers.RepeatedCompositeFieldContainer[DataRecord]
    modal_record: DataRecord
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., all_metadata_names: _Optional[_Iterable[str]] = ..., grid_records: _Optional[_Iterable[_Union[DataRecord, _Mapping]]] = ..., modal_record: _Optional[_Union[DataRecord, _Mapping]] = ...) -> None: ...

class StepSamplesRequest(_message.Message):
    __slots__ = ("metric_name", "experiment_hash", "model_age", "max_samples")
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    MODEL_AGE_FIELD_NUMBER: _ClassVar[int]
    MAX_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    metric_name: str
    experiment_hash: str
    model_age: int
    max_samples: int
    def __init__(self, metric_name: _Optional[str] = ..., experiment_hash: _Optional[str] = ..., model_age: _Optional[int] = ..., max_samples: _Optional[int] = ...) -> None: ...

class StepSamplesResponse(_message.Message):
    __slots__ = ("success", "message", "sample_ids", "total_available", "sample_values")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_VALUES_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    sample_ids: _containers.RepeatedScalarFieldContainer[str]
    total_available: int
    sample_values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., sample_ids: _Optional[_Iterable[str]] = ..., total_available: _Optional[int] = ..., sample_values: _Optional[_Iterable[float]] = ...) -> None: ...

class GetSignalTrajectoryRequest(_message.Message):
    __slots__ = ("signal_name", "sample_ids", "max_points")
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    signal_name: str
    sample_ids: _containers.RepeatedScalarFieldContainer[str]
    max_points: int
    def __init__(self, signal_name: _Optional[str] = ..., sample_ids: _Optional[_Iterable[str]] = ..., max_points: _Optional[int] = ...) -> None: ...

class SignalTrajectory(_message.Message):
    __slots__ = ("sample_id", "value")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    value: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, sample_id: _Optional[str] = ..., value: _Optional[_Iterable[float]] = ...) -> None: ...

class GetSignalTrajectoryResponse(_message.Message):
    __slots__ = ("success", "message", "signal_name", "trajectories")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    TRAJECTORIES_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    signal_name: str
    trajectories: _containers.RepeatedCompositeFieldContainer[SignalTrajectory]
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., signal_name: _Optional[str] = ..., trajectories: _Optional[_Iterable[_Union[SignalTrajectory, _Mapping]]] = ...) -> None: ...

class PointCloudRequest(_message.Message):
    __slots__ = ("sample_id", "origin", "max_points", "field")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    origin: str
    max_points: int
    field: str
    def __init__(self, sample_id: _Optional[str] = ..., origin: _Optional[str] = ..., max_points: _Optional[int] = ..., field: _Optional[str] = ...) -> None: ...

class PointCloudChunk(_message.Message):
    __slots__ = ("success", "message", "num_points", "num_features", "pc_range", "data", "chunk_index", "total_chunks", "feature_names")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NUM_POINTS_FIELD_NUMBER: _ClassVar[int]
    NUM_FEATURES_FIELD_NUMBER: _ClassVar[int]
    PC_RANGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    FEATURE_NAMES_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    num_points: int
    num_features: int
    pc_range: _containers.RepeatedScalarFieldContainer[float]
    data: bytes
    chunk_index: int
    total_chunks: int
    feature_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., num_points: _Optional[int] = ..., num_features: _Optional[int] = ..., pc_range: _Optional[_Iterable[float]] = ..., data: _Optional[bytes] = ..., chunk_index: _Optional[int] = ..., total_chunks: _Optional[int] = ..., feature_names: _Optional[_Iterable[str]] = ...) -> None: ...

class MediaRequest(_message.Message):
    __slots__ = ("sample_id", "origin", "kind", "max_frames", "field")
    SAMPLE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    sample_id: str
    origin: str
    kind: str
    max_frames: int
    field: str
    def __init__(self, sample_id: _Optional[str] = ..., origin: _Optional[str] = ..., kind: _Optional[str] = ..., max_frames: _Optional[int] = ..., field: _Optional[str] = ...) -> None: ...

class MediaChunk(_message.Message):
    __slots__ = ("success", "message", "mime_type", "frame_count", "fps", "has_audio", "width", "height", "total_bytes", "duration_seconds", "sample_rate", "data", "chunk_index", "total_chunks")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    HAS_AUDIO_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    mime_type: str
    frame_count: int
    fps: float
    has_audio: bool
    width: int
    height: int
    total_bytes: int
    duration_seconds: float
    sample_rate: int
    data: bytes
    chunk_index: int
    total_chunks: int
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., mime_type: _Optional[str] = ..., frame_count: _Optional[int] = ..., fps: _Optional[float] = ..., has_audio: bool = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., total_bytes: _Optional[int] = ..., duration_seconds: _Optional[float] = ..., sample_rate: _Optional[int] = ..., data: _Optional[bytes] = ..., chunk_index: _Optional[int] = ..., total_chunks: _Optional[int] = ...) -> None: ...

class DataEditsRequest(_message.Message):
    __slots__ = ("stat_name", "float_value", "string_value", "bool_value", "type", "samples_ids", "sample_origins", "is_categorical", "categories", "sample_values", "experiment_hash")
    STAT_NAME_FIELD_NUMBER: _ClassVar[int]
    FLOAT_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_IDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ORIGINS_FIELD_NUMBER: _ClassVar[int]
    IS_CATEGORICAL_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_VALUES_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    stat_name: str
    float_value: float
    string_value: str
    bool_value: bool
    type: SampleEditType
    samples_ids: _containers.RepeatedScalarFieldContainer[str]
    sample_origins: _containers.RepeatedScalarFieldContainer[str]
    is_categorical: bool
    categories: _containers.RepeatedScalarFieldContainer[str]
    sample_values: _containers.RepeatedScalarFieldContainer[float]
    experiment_hash: str
    def __init__(self, stat_name: _Optional[str] = ..., float_value: _Optional[float] = ..., string_value: _Optional[str] = ..., bool_value: bool = ..., type: _Optional[_Union[SampleEditType, str]] = ..., samples_ids: _Optional[_Iterable[str]] = ..., sample_origins: _Optional[_Iterable[str]] = ..., is_categorical: bool = ..., categories: _Optional[_Iterable[str]] = ..., sample_values: _Optional[_Iterable[float]] = ..., experiment_hash: _Optional[str] = ...) -> None: ...

class DataEditsResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class DataSplitsResponse(_message.Message):
    __slots__ = ("success", "split_names")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    SPLIT_NAMES_FIELD_NUMBER: _ClassVar[int]
    success: bool
    split_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, success: bool = ..., split_names: _Optional[_Iterable[str]] = ...) -> None: ...

class AgentHealthResponse(_message.Message):
    __slots__ = ("available", "message", "current_model")
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    available: bool
    message: str
    current_model: str
    def __init__(self, available: bool = ..., message: _Optional[str] = ..., current_model: _Optional[str] = ...) -> None: ...

class InitializeAgentRequest(_message.Message):
    __slots__ = ("api_key", "provider", "model")
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    api_key: str
    provider: AgentProviderType
    model: str
    def __init__(self, api_key: _Optional[str] = ..., provider: _Optional[_Union[AgentProviderType, str]] = ..., model: _Optional[str] = ...) -> None: ...

class InitializeAgentResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class ChangeAgentModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class ChangeAgentModelResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class GetAgentModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAgentModelsResponse(_message.Message):
    __slots__ = ("success", "models", "message", "current_model")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    success: bool
    models: _containers.RepeatedScalarFieldContainer[str]
    message: str
    current_model: str
    def __init__(self, success: bool = ..., models: _Optional[_Iterable[str]] = ..., message: _Optional[str] = ..., current_model: _Optional[str] = ...) -> None: ...

class ResetAgentResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class ClearAgentHistoryResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class CompactAgentHistoryResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class GetAgentContextUsageResponse(_message.Message):
    __slots__ = ("success", "message", "model", "context_window", "input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "cache_write_tokens")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    model: str
    context_window: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., model: _Optional[str] = ..., context_window: _Optional[int] = ..., input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., cache_read_tokens: _Optional[int] = ..., cache_write_tokens: _Optional[int] = ...) -> None: ...

class RestoreCheckpointRequest(_message.Message):
    __slots__ = ("experiment_hash",)
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    experiment_hash: str
    def __init__(self, experiment_hash: _Optional[str] = ...) -> None: ...

class RestoreCheckpointResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class ExperimentRunInfo(_message.Message):
    __slots__ = ("experiment_hash", "experiment_name", "notes", "created", "last_used", "latest_weight_step", "is_current")
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_NAME_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_FIELD_NUMBER: _ClassVar[int]
    LATEST_WEIGHT_STEP_FIELD_NUMBER: _ClassVar[int]
    IS_CURRENT_FIELD_NUMBER: _ClassVar[int]
    experiment_hash: str
    experiment_name: str
    notes: str
    created: str
    last_used: str
    latest_weight_step: int
    is_current: bool
    def __init__(self, experiment_hash: _Optional[str] = ..., experiment_name: _Optional[str] = ..., notes: _Optional[str] = ..., created: _Optional[str] = ..., last_used: _Optional[str] = ..., latest_weight_step: _Optional[int] = ..., is_current: bool = ...) -> None: ...

class ListExperimentRunsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListExperimentRunsResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[ExperimentRunInfo]
    def __init__(self, runs: _Optional[_Iterable[_Union[ExperimentRunInfo, _Mapping]]] = ...) -> None: ...

class RenameExperimentRunRequest(_message.Message):
    __slots__ = ("experiment_hash", "new_name")
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    experiment_hash: str
    new_name: str
    def __init__(self, experiment_hash: _Optional[str] = ..., new_name: _Optional[str] = ...) -> None: ...

class RenameExperimentRunResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class SetExperimentRunNotesRequest(_message.Message):
    __slots__ = ("experiment_hash", "notes")
    EXPERIMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    experiment_hash: str
    notes: str
    def __init__(self, experiment_hash: _Optional[str] = ..., notes: _Optional[str] = ...) -> None: ...

class SetExperimentRunNotesResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class TriggerEvaluationRequest(_message.Message):
    __slots__ = ("split_name", "tags", "use_full_set")
    SPLIT_NAME_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    USE_FULL_SET_FIELD_NUMBER: _ClassVar[int]
    split_name: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    use_full_set: bool
    def __init__(self, split_name: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., use_full_set: bool = ...) -> None: ...

class TriggerEvaluationResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class GetEvaluationStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetEvaluationStatusResponse(_message.Message):
    __slots__ = ("status", "current", "total", "message", "error", "split_name")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SPLIT_NAME_FIELD_NUMBER: _ClassVar[int]
    status: str
    current: int
    total: int
    message: str
    error: str
    split_name: str
    def __init__(self, status: _Optional[str] = ..., current: _Optional[int] = ..., total: _Optional[int] = ..., message: _Optional[str] = ..., error: _Optional[str] = ..., split_name: _Optional[str] = ...) -> None: ...

class CancelEvaluationRequest(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class CancelEvaluationResponse(_message.Message):
    __slots__ = ("success", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class RunNotebookCellRequest(_message.Message):
    __slots__ = ("code", "cell_id")
    CODE_FIELD_NUMBER: _ClassVar[int]
    CELL_ID_FIELD_NUMBER: _ClassVar[int]
    code: str
    cell_id: str
    def __init__(self, code: _Optional[str] = ..., cell_id: _Optional[str] = ...) -> None: ...

class NotebookCellDone(_message.Message):
    __slots__ = ("exec_count", "ok")
    EXEC_COUNT_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    exec_count: int
    ok: bool
    def __init__(self, exec_count: _Optional[int] = ..., ok: bool = ...) -> None: ...

class InterruptNotebookCellRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InterruptNotebookCellResponse(_message.Message):
    __slots__ = ("ok", "error")
    OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    error: str
    def __init__(self, ok: bool = ..., error: _Optional[str] = ...) -> None: ...

class NotebookCellChunk(_message.Message):
    __slots__ = ("cell_id", "stdout", "stderr", "result_text", "image_png", "error_traceback", "done")
    CELL_ID_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    RESULT_TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PNG_FIELD_NUMBER: _ClassVar[int]
    ERROR_TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    cell_id: str
    stdout: str
    stderr: str
    result_text: str
    image_png: bytes
    error_traceback: str
    done: NotebookCellDone
    def __init__(self, cell_id: _Optional[str] = ..., stdout: _Optional[str] = ..., stderr: _Optional[str] = ..., result_text: _Optional[str] = ..., image_png: _Optional[bytes] = ..., error_traceback: _Optional[str] = ..., done: _Optional[_Union[NotebookCellDone, _Mapping]] = ...) -> None: ...

class NotebookResponse(_message.Message):
    __slots__ = ("ipynb_json", "existed", "path", "name")
    IPYNB_JSON_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ipynb_json: str
    existed: bool
    path: str
    name: str
    def __init__(self, ipynb_json: _Optional[str] = ..., existed: bool = ..., path: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class SaveNotebookRequest(_message.Message):
    __slots__ = ("ipynb_json", "name")
    IPYNB_JSON_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ipynb_json: str
    name: str
    def __init__(self, ipynb_json: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class SaveNotebookResponse(_message.Message):
    __slots__ = ("ok", "path", "error", "name")
    OK_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    path: str
    error: str
    name: str
    def __init__(self, ok: bool = ..., path: _Optional[str] = ..., error: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class GenerateNotebookCodeRequest(_message.Message):
    __slots__ = ("prompt", "context_code")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_CODE_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    context_code: str
    def __init__(self, prompt: _Optional[str] = ..., context_code: _Optional[str] = ...) -> None: ...

class GenerateNotebookCodeResponse(_message.Message):
    __slots__ = ("code", "explanation", "ok", "error")
    CODE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    code: str
    explanation: str
    ok: bool
    error: str
    def __init__(self, code: _Optional[str] = ..., explanation: _Optional[str] = ..., ok: bool = ..., error: _Optional[str] = ...) -> None: ...

class ExportAnnotationsRequest(_message.Message):
    __slots__ = ("format", "origin", "include_predictions", "tags")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    format: AnnotationExportFormat
    origin: str
    include_predictions: bool
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, format: _Optional[_Union[AnnotationExportFormat, str]] = ..., origin: _Optional[str] = ..., include_predictions: bool = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class ExportAnnotationsResponse(_message.Message):
    __slots__ = ("success", "message", "payload", "filename", "mime_type", "image_count")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    payload: bytes
    filename: str
    mime_type: str
    image_count: int
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., payload: _Optional[bytes] = ..., filename: _Optional[str] = ..., mime_type: _Optional[str] = ..., image_count: _Optional[int] = ...) -> None: ...

class ProjectionRequest(_message.Message):
    __slots__ = ("has_bounds", "min_x", "min_y", "min_z", "max_x", "max_y", "max_z", "max_points", "color_column", "prefix", "follow_view", "restrict_sample_ids", "frustum_planes", "lasso_mode", "lasso_px", "lasso_viewport", "view_projection")
    HAS_BOUNDS_FIELD_NUMBER: _ClassVar[int]
    MIN_X_FIELD_NUMBER: _ClassVar[int]
    MIN_Y_FIELD_NUMBER: _ClassVar[int]
    MIN_Z_FIELD_NUMBER: _ClassVar[int]
    MAX_X_FIELD_NUMBER: _ClassVar[int]
    MAX_Y_FIELD_NUMBER: _ClassVar[int]
    MAX_Z_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    COLOR_COLUMN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_VIEW_FIELD_NUMBER: _ClassVar[int]
    RESTRICT_SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    FRUSTUM_PLANES_FIELD_NUMBER: _ClassVar[int]
    LASSO_MODE_FIELD_NUMBER: _ClassVar[int]
    LASSO_PX_FIELD_NUMBER: _ClassVar[int]
    LASSO_VIEWPORT_FIELD_NUMBER: _ClassVar[int]
    VIEW_PROJECTION_FIELD_NUMBER: _ClassVar[int]
    has_bounds: bool
    min_x: float
    min_y: float
    min_z: float
    max_x: float
    max_y: float
    max_z: float
    max_points: int
    color_column: str
    prefix: str
    follow_view: bool
    restrict_sample_ids: _containers.RepeatedScalarFieldContainer[str]
    frustum_planes: _containers.RepeatedScalarFieldContainer[float]
    lasso_mode: ProjectionLassoMode
    lasso_px: _containers.RepeatedScalarFieldContainer[float]
    lasso_viewport: _containers.RepeatedScalarFieldContainer[float]
    view_projection: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, has_bounds: bool = ..., min_x: _Optional[float] = ..., min_y: _Optional[float] = ..., min_z: _Optional[float] = ..., max_x: _Optional[float] = ..., max_y: _Optional[float] = ..., max_z: _Optional[float] = ..., max_points: _Optional[int] = ..., color_column: _Optional[str] = ..., prefix: _Optional[str] = ..., follow_view: bool = ..., restrict_sample_ids: _Optional[_Iterable[str]] = ..., frustum_planes: _Optional[_Iterable[float]] = ..., lasso_mode: _Optional[_Union[ProjectionLassoMode, str]] = ..., lasso_px: _Optional[_Iterable[float]] = ..., lasso_viewport: _Optional[_Iterable[float]] = ..., view_projection: _Optional[_Iterable[float]] = ...) -> None: ...

class ProjectionResponse(_message.Message):
    __slots__ = ("success", "message", "sample_ids", "coords", "origin_ids", "origins", "color_values", "color_labels", "returned", "total_in_view", "total_available", "extent_min_x", "extent_min_y", "extent_min_z", "extent_max_x", "extent_max_y", "extent_max_z", "fits", "dims", "available_prefixes", "discarded", "selected", "selection_token", "in_selection", "layer", "layer_detail")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    COORDS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_IDS_FIELD_NUMBER: _ClassVar[int]
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    COLOR_VALUES_FIELD_NUMBER: _ClassVar[int]
    COLOR_LABELS_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_IN_VIEW_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    EXTENT_MIN_X_FIELD_NUMBER: _ClassVar[int]
    EXTENT_MIN_Y_FIELD_NUMBER: _ClassVar[int]
    EXTENT_MIN_Z_FIELD_NUMBER: _ClassVar[int]
    EXTENT_MAX_X_FIELD_NUMBER: _ClassVar[int]
    EXTENT_MAX_Y_FIELD_NUMBER: _ClassVar[int]
    EXTENT_MAX_Z_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    DIMS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_PREFIXES_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    SELECTED_FIELD_NUMBER: _ClassVar[int]
    SELECTION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    IN_SELECTION_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    LAYER_DETAIL_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    sample_ids: _containers.RepeatedScalarFieldContainer[str]
    coords: _containers.RepeatedScalarFieldContainer[float]
    origin_ids: _containers.RepeatedScalarFieldContainer[int]
    origins: _containers.RepeatedScalarFieldContainer[str]
    color_values: _containers.RepeatedScalarFieldContainer[float]
    color_labels: _containers.RepeatedScalarFieldContainer[str]
    returned: int
    total_in_view: int
    total_available: int
    extent_min_x: float
    extent_min_y: float
    extent_min_z: float
    extent_max_x: float
    extent_max_y: float
    extent_max_z: float
    fits: int
    dims: int
    available_prefixes: _containers.RepeatedScalarFieldContainer[str]
    discarded: _containers.RepeatedScalarFieldContainer[bool]
    selected: int
    selection_token: str
    in_selection: _containers.RepeatedScalarFieldContainer[bool]
    layer: str
    layer_detail: str
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., sample_ids: _Optional[_Iterable[str]] = ..., coords: _Optional[_Iterable[float]] = ..., origin_ids: _Optional[_Iterable[int]] = ..., origins: _Optional[_Iterable[str]] = ..., color_values: _Optional[_Iterable[float]] = ..., color_labels: _Optional[_Iterable[str]] = ..., returned: _Optional[int] = ..., total_in_view: _Optional[int] = ..., total_available: _Optional[int] = ..., extent_min_x: _Optional[float] = ..., extent_min_y: _Optional[float] = ..., extent_min_z: _Optional[float] = ..., extent_max_x: _Optional[float] = ..., extent_max_y: _Optional[float] = ..., extent_max_z: _Optional[float] = ..., fits: _Optional[int] = ..., dims: _Optional[int] = ..., available_prefixes: _Optional[_Iterable[str]] = ..., discarded: _Optional[_Iterable[bool]] = ..., selected: _Optional[int] = ..., selection_token: _Optional[str] = ..., in_selection: _Optional[_Iterable[bool]] = ..., layer: _Optional[str] = ..., layer_detail: _Optional[str] = ...) -> None: ...
