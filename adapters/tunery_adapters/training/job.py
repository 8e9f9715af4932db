"""One fine-tuning job from its spec to its adapter."""

import hashlib
import shutil
from pathlib import Path
from threading import Event

import torch
from transformers import PreTrainedTokenizerBase

from tunery_adapters.reports import Finished, Loaded, Plan
from tunery_adapters.spec import TrainingSpec
from tunery_adapters.training import data
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.checkpoint import ADAPTER, Checkpoints, Found, State, move_synced
from tunery_adapters.training.data import Dataset, Split
from tunery_adapters.training.loop import Clock, Course, Loop, Report, checkpoint_report
from tunery_adapters.training.model import Precision, load_model, load_tokenizer
from tunery_adapters.training.optimizer import make_optimizer, peak_learning_rate
from tunery_adapters.training.steps import Learner

_PLACES = {"threads", "output_dir", "base_model_path", "training_file", "validation_file"}


def run(
    spec: TrainingSpec,
    report: Report,
    stop: Event,
    clock: Clock,
    precision: Precision | None = None,
) -> bool:
    """Train; True if finished, False if stopped with a checkpoint to go on from.

    A resumed job keeps the precision that it began with. Raises TrainingError and whatever torch
    raises; nothing is left half-written.
    """
    torch.set_num_threads(spec.threads)

    # Data first: a bad row is found before a large model is loaded.
    tokenizer = load_tokenizer(spec.base_model_path)
    training = _read(spec, spec.training_file, "training", tokenizer)
    held_out = spec.validation_file
    validation = _read(spec, held_out, "validation", tokenizer) if held_out else None

    # The model, as an earlier run of this job left it if there was one.
    checkpoints = Checkpoints(Path(spec.output_dir))
    found = checkpoints.newest(fingerprint(spec))
    if found:
        precision = Precision.named(found.state.dtype)
    precision = precision or Precision.here()
    learner = _learner(spec, precision)
    if found:
        checkpoints.restore(found, learner.model, learner.optimizer)

    # Say what will be done.
    course = _course(spec, training, validation, learner)
    report(_loaded(learner, precision, found))
    report(training.report("training"))
    if validation:
        report(validation.report("validation"))
    report(_plan(course))
    if found and found.state.ends_epoch:
        report(checkpoint_report(found))  # the earlier run may have died before it could say so

    # Do it.
    state = found.state if found else State(job=fingerprint(spec), dtype=precision.dtype_name)
    loop = Loop(course, learner, checkpoints, state, report, stop, clock)
    if not loop.run():
        return False
    report(_finish(spec, course, loop, checkpoints))
    return True


def fingerprint(spec: TrainingSpec) -> str:
    """Hash what makes two runs the same job: settings and rows, wherever the files lie."""
    digest = hashlib.sha256(spec.model_dump_json(exclude=_PLACES).encode())
    digest.update(Path(spec.training_file).read_bytes())
    return digest.hexdigest()


def _read(
    spec: TrainingSpec, file: str, split: Split, tokenizer: PreTrainedTokenizerBase
) -> Dataset:
    return data.load(Path(file), tokenizer, max_length=spec.max_length, split=split)


def _learner(spec: TrainingSpec, precision: Precision) -> Learner:
    torch.manual_seed(spec.seed)
    model = load_model(spec.base_model_path, spec.lora, precision, max_length=spec.max_length)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(parameters, precision, quantized=spec.lora.quantization != "none")
    return Learner(model, optimizer, precision, share_prefixes=spec.lora.dropout == 0)


def _course(
    spec: TrainingSpec, training: Dataset, validation: Dataset | None, learner: Learner
) -> Course:
    return Course(
        training=training,
        validation=validation,
        schedule=Schedule(len(training.examples), spec.batch_size, spec.n_epochs, spec.seed),
        peak_learning_rate=peak_learning_rate(learner.model.config, spec.learning_rate_multiplier),
    )


def _loaded(learner: Learner, precision: Precision, found: Found | None) -> Loaded:
    return Loaded(
        device=precision.device.type,
        dtype=precision.dtype_name,
        trainable_parameters=sum(parameter.numel() for parameter in learner.parameters()),
        resumed_from_step=found.state.step if found else None,
    )


def _plan(course: Course) -> Plan:
    schedule = course.schedule
    return Plan(
        total_steps=schedule.total_steps,
        steps_per_epoch=schedule.steps_per_epoch,
        n_epochs=schedule.n_epochs,
        batch_size=schedule.batch_size,
        learning_rate=course.peak_learning_rate,
    )


def _finish(spec: TrainingSpec, course: Course, loop: Loop, checkpoints: Checkpoints) -> Finished:
    """Copy the last epoch's adapter to ``output_dir/adapter``."""
    adapter = Path(spec.output_dir) / ADAPTER
    staged = adapter.with_name(f".tmp-{ADAPTER}")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(checkpoints.folder(loop.state) / ADAPTER, staged)
    move_synced(staged, adapter)
    return Finished(
        step=loop.state.step,
        adapter_path=str(adapter),
        trained_tokens=course.training.trained_tokens * spec.n_epochs,
        last_step_at=loop.last_step_at,
    )
