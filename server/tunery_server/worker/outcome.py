"""How one attempt at a job ends, in one place."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tunery_server.errors import LeaseLost, RecordUnavailable, StorageFull, StorageUnavailable
from tunery_server.telemetry.logging import get_logger
from tunery_server.worker.recorder import Recorder
from tunery_server.worker.trainer import TrainerFailed, TrainerStopped

log = get_logger(__name__)


@asynccontextmanager
async def recorded(recorder: Recorder) -> AsyncIterator[None]:
    """Turn what the attempt raises into the job's state; success is written by the attempt.

    LeaseLost writes nothing: the job was cancelled, or belongs to another attempt by now. Nor does
    RecordUnavailable: nobody can be told, so the lease runs out and the job goes on in another
    attempt. So it does when the storage of files does not answer. A trainer that was stopped
    leaves a job that is paused, or back in line.
    """
    job_id = recorder.job.id
    try:
        yield
    except LeaseLost:
        log.info("job is no longer ours", job_id=job_id, attempt=recorder.job.attempt)
    except RecordUnavailable:
        log.error("the database does not answer; the job goes on in another attempt", job_id=job_id)
    except StorageUnavailable:
        log.error("storage does not answer; the job goes on in another attempt", job_id=job_id)
    except TrainerStopped:
        await _written(recorder.release)
    except TrainerFailed as error:
        await _written(_fail, recorder, error)
    except (OSError, StorageFull) as error:
        await _written(_fail, recorder, _storage(error))
    except Exception:
        log.exception("job failed for a fault of the server", job_id=job_id)
        fault = TrainerFailed("server_error", "The server made a mistake; its log has the details.")
        await _written(_fail, recorder, fault)


async def _written(write: Callable[..., None], *arguments: object) -> None:
    try:
        await asyncio.to_thread(write, *arguments)
    except LeaseLost:
        log.info("outcome refused: the job is no longer ours")


def _fail(recorder: Recorder, error: TrainerFailed) -> None:
    recorder.fail(code=error.code, message=error.message, param=error.param)


def _storage(error: Exception) -> TrainerFailed:
    if isinstance(error, StorageFull) or getattr(error, "errno", None) == errno.ENOSPC:
        return TrainerFailed("storage_full", "There is no room left on the disk.")
    log.error("job failed for an error of the system", exc_info=error)
    return TrainerFailed("server_error", "The server made a mistake; its log has the details.")
