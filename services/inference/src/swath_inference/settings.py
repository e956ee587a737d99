"""Settings of the inference service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferenceSettings(BaseSettings):
    """What the inference service holds and takes. Each field is also a variable `SWATH_INFERENCE_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_INFERENCE_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    device: str = "auto"
    """Torch device that models run on, such as cpu or cuda:0; auto takes the first GPU there is, else the CPU. Several,
    separated by commas: a model goes to the one with the most free memory."""
    cache_bytes: int = Field(default=4 * 1024**3, ge=0)
    """Parameters and buffers of models kept loaded on each device, in bytes; the least recently used goes first.
    Streams whose nodes have a memory have instances of their own, which count and stay: RESOURCE_EXHAUSTED where no
    room is left for one more."""
    queue_limit: int = Field(default=256, ge=1)
    """Calls that may wait for each device; more are refused with RESOURCE_EXHAUSTED."""
    batch_calls: int = Field(default=64, ge=1)
    """Most calls that are computed together, of pipelines whose nodes keep the items of a batch apart; 1 computes each
    call alone."""
    batch_preferred: int = Field(default=32, ge=1)
    """Calls from which on a batch waits for no more."""
    batch_bytes: int = Field(default=64 * 1024**2, ge=0)
    """Most bytes of the inputs of calls that are computed together."""
    batch_delay_ms: float = Field(default=2.0, ge=0)
    """Longest wait of a batch for more calls, in ms; only where the last ones came together, and never more than a
    quarter of the time that the last forward took."""
    max_batch_size: int = Field(default=1024, ge=1)
    """Most items of a call by the Open Inference Protocol, of models whose items have nothing to do with one another:
    their configuration announces it."""
    compile: bool = False
    """Whether nodes with parameters are compiled by torch.compile when they first run; needs a C++ compiler."""
    keep_freed_bytes: int = Field(default=1024**3, ge=0)
    """Memory that calls have freed and that stays with the process for the next ones, in bytes at most; 0 gives it back
    at once, and each large message then costs the kernel a page fault for every 4 KiB of each of its copies. It is
    given back when a model is dropped. With glibc alone."""
    segments_behind_gateway: bool = False
    """Take references to segments of shared memory from clients behind a gateway, under their session's own name: for
    pods that share the /dev/shm of their node with this one. Which node a call reaches is up to who sends it there."""
    shared_memory_bytes: int = Field(default=4 * 1024**3, ge=0)
    """Bytes of the regions of shared memory that this server makes for clients of its machine; 0 makes none."""
    shared_memory_session_bytes: int = Field(default=1024**3, ge=0)
    """Bytes of those of one session."""
    shared_memory_idle_s: float = Field(default=600.0, gt=0)
    """A region that no request has named for this time, in seconds, ends."""
    frames_ahead: int = Field(default=4, ge=1)
    """Frames of a StreamInfer that are read ahead of the answer that is due; what follows waits on its way."""
    tile_bytes: int = Field(default=4 * 1024**2, ge=1)
    """Parts that InferCube computes a cube in, in bytes of the cube; one row of one item is the least."""
    cube_bytes: int = Field(default=1024**3, ge=1)
    """Parts of cubes in memory at a time, and their outputs that are not sent yet, all InferCube calls together, in
    bytes. A pipeline whose pixels depend on one another needs whole frames, or the whole cube, in there."""
    cube_wait_s: float = Field(default=60.0, gt=0)
    """Seconds that InferCube waits for the next chunk."""
    unread_s: float = Field(default=120.0, gt=0)
    """Seconds that a client of InferCube may leave a chunk of outputs, 1 MiB at most, unread; then the call ends with
    DEADLINE_EXCEEDED."""
    models_wait_s: float = Field(default=10.0, ge=0)
    """Seconds that a start waits to hear what is published before it serves sessions without it."""
    redhare_url: str = ""
    """HOST:PORT that clients of redhare.Inference are told to open a stream at. Empty tells each client an address that
    it can reach: the name by which it has called the gateway; without a gateway that of this server."""
    redhare_token_s: float = Field(default=3600.0, gt=0)
    """Seconds for which a token of redhare.Inference is good. It can be renewed before that."""
    redhare_user_tries: int = Field(default=20, ge=1)
    """Passwords that may be tried for one user in a minute, at each replica; more are refused with RESOURCE_EXHAUSTED.
    A right one gives the user all of them again."""
    redhare_peer_tries: int = Field(default=120, ge=1)
    """Passwords that may be tried from one address in a minute, likewise."""
    redhare_ahead: int = Field(default=16, ge=1)
    """Records of a stream of redhare.Inference that are read ahead of the answer that is due, and may be computed
    together; what follows waits on its way."""
    redhare_record_bytes: int = Field(default=64 * 1024**2, ge=1024)
    """Most bytes of a record of redhare.Inference; a stream holds four times as many at most. Reading JSON holds up all
    other calls, for about two milliseconds for each MiB."""
