"""Composes what brings adapters in, keeps them in the engine, and removes them."""

import functools
import time

from tunery_adapters.base_files import BaseFiles
from tunery_adapters.store import AdapterStore
from tunery_server.config import Settings
from tunery_server.files.service import FileService
from tunery_server.files.storage import file_storage
from tunery_server.jobs.names import model_name
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.pins import PinQuota, PinRecords
from tunery_server.records.quota import AdapterQuota, AdapterQuotaOf
from tunery_server.records.tenants import TenantPolicies, default_policy
from tunery_server.registry.imports import Imports
from tunery_server.registry.removal import Removal
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.pins import Pins
from tunery_server.serving.preload import Preload
from tunery_server.serving.residency import Residency


def adapter_store(settings: Settings) -> AdapterStore:
    """Where published adapters lie."""
    return AdapterStore(settings.home / "adapters", max_rank=settings.max_lora_rank)


def imports(
    settings: Settings, database: Database, file_service: FileService, residency: Residency
) -> Imports:
    """Brings in adapters that were trained elsewhere."""
    base, organization = settings.base_model_name, settings.organization
    return Imports(
        files=file_service,
        bytes_of=file_storage(settings),
        store=adapter_store(settings),
        adapters=AdapterRecords(database),
        base=BaseFiles(base, settings.base_model_path),
        residency=residency,
        name=functools.partial(model_name, base, organization),
        max_rank=settings.max_lora_rank,
        quota=_adapter_quota(settings, database),
        clock=time.time,
    )


def removal(settings: Settings, database: Database, residency: Residency) -> Removal:
    """Removes the files of deleted adapters."""
    return Removal(
        store=adapter_store(settings),
        adapters=AdapterRecords(database),
        residency=residency,
        longest_request_s=settings.request_timeout_s,
        clock=time.time,
    )


def preload(settings: Settings, database: Database, residency: Residency) -> Preload:
    """Loads adapters before they are asked for."""
    return Preload(
        registry=_pin_records(settings, database),
        lookup=AdapterRecords(database),
        folders=adapter_store(settings),
        residency=residency,
    )


def pins(
    settings: Settings,
    database: Database,
    catalogue: Catalogue,
    residency: Residency,
    loads: Preload,
) -> Pins:
    """Pins adapters."""
    records = _pin_records(settings, database)
    return Pins(catalogue=catalogue, pins=records, preload=loads, residency=residency)


def _pin_records(settings: Settings, database: Database) -> PinRecords:
    quota = PinQuota(
        per_tenant=settings.max_pinned_adapters_per_tenant,
        together=settings.places_in_memory // 2,
    )
    return PinRecords(database, quota)


def _adapter_quota(settings: Settings, database: Database) -> AdapterQuotaOf:
    policies = TenantPolicies(database, default_policy(settings))

    def of(tenant_id: str) -> AdapterQuota:
        policy = policies.of(tenant_id)
        return AdapterQuota(adapters=policy.max_adapters, bytes=policy.max_adapter_bytes)

    return of
