"""What the registry promises: adapters, and the permissions on them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.rows import NOW, a_permission, an_adapter
from tunery_server.errors import InvalidRequest
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.permissions import PermissionRecords
from tunery_server.records.rows import Page

from .paged import pages


class TestAdapters:
    @pytest.fixture
    def adapters(self, database: Database) -> AdapterRecords:
        return AdapterRecords(database)

    def test_an_adapter_comes_back_as_it_was_registered(self, adapters: AdapterRecords) -> None:
        adapter = an_adapter(target_modules=("k_proj", "q_proj"))
        adapters.add(adapter)
        assert adapters.get("acme", adapter.model) == adapter

    def test_registering_again_changes_nothing(self, adapters: AdapterRecords) -> None:
        adapter = an_adapter()
        adapters.add(adapter)
        adapters.add(replace(adapter, metrics={}, tenant_id="rival"))
        assert adapters.get("acme", adapter.model) == adapter
        assert adapters.get("rival", adapter.model) is None

    def test_another_tenants_adapter_is_an_absent_one(self, adapters: AdapterRecords) -> None:
        adapter = an_adapter()
        adapters.add(adapter)
        assert adapters.get("rival", adapter.model) is None
        assert adapters.list("rival") == Page((), has_more=False)
        with pytest.raises(InvalidRequest):
            adapters.list("rival", after=adapter.adapter_id)
        assert adapters.retire("rival", adapter.model, NOW) is None
        assert adapters.get("acme", adapter.model) == adapter

    def test_a_retired_adapter_is_gone_for_good(self, adapters: AdapterRecords) -> None:
        adapter = an_adapter()
        adapters.add(adapter)
        assert adapters.retire("acme", adapter.model, NOW) == adapter
        assert adapters.retire("acme", adapter.model, NOW) is None
        assert adapters.get("acme", adapter.model) is None
        assert adapters.list("acme") == Page((), has_more=False)
        adapters.add(adapter)
        assert adapters.get("acme", adapter.model) is None

    def test_pages_go_from_the_newest_on(self, adapters: AdapterRecords) -> None:
        made = [an_adapter(created_at=NOW + number // 2) for number in range(5)]
        for adapter in made:
            adapters.add(adapter)
        expected = sorted(made, key=lambda a: (a.created_at, a.adapter_id), reverse=True)
        found = pages(lambda after: adapters.list("acme", after=after, limit=2), by="adapter_id")
        assert found == [adapter.adapter_id for adapter in expected]


class TestPermissions:
    @pytest.fixture
    def adapters(self, database: Database) -> AdapterRecords:
        return AdapterRecords(database)

    @pytest.fixture
    def permissions(self, database: Database) -> PermissionRecords:
        return PermissionRecords(database)

    def test_a_permission_lets_one_tenant_use_one_adapter(
        self, adapters: AdapterRecords, permissions: PermissionRecords
    ) -> None:
        shared, other = an_adapter(), an_adapter()
        for adapter in (shared, other):
            adapters.add(adapter)
        permission = a_permission(model=shared.model)
        assert permissions.add("acme", [permission]) == (permission,)
        assert adapters.usable("rival", shared.model) == shared
        assert adapters.usable("acme", shared.model) == shared
        assert adapters.usable("rival", other.model) is None
        assert adapters.usable("third", shared.model) is None
        assert adapters.get("rival", shared.model) is None
        assert adapters.list("rival") == Page((), has_more=False)
        assert adapters.retire("rival", shared.model, NOW) is None
        assert permissions.delete("acme", shared.model, permission.id)
        assert not permissions.delete("acme", shared.model, permission.id)
        assert adapters.usable("rival", shared.model) is None

    def test_a_retired_adapter_takes_its_permissions_along(
        self, adapters: AdapterRecords, permissions: PermissionRecords
    ) -> None:
        adapter = an_adapter()
        adapters.add(adapter)
        permissions.add("acme", [a_permission(model=adapter.model)])
        adapters.retire("acme", adapter.model, NOW)
        assert adapters.usable("rival", adapter.model) is None
        assert permissions.list(adapter.model) == Page((), has_more=False)

    def test_a_permission_is_given_once(self, permissions: PermissionRecords) -> None:
        first = a_permission(model="m")
        permissions.add("acme", [first])
        again = a_permission(model="m", project_id="third")
        with ThreadPoolExecutor(8) as pool:
            for standing in pool.map(
                lambda _: permissions.add("acme", [a_permission(model="m"), again]), range(16)
            ):
                assert standing == (first, again)

    def test_pages_go_both_ways_and_filter(self, permissions: PermissionRecords) -> None:
        made = [
            a_permission(model="m", project_id=f"p{number}", created_at=NOW + number // 2)
            for number in range(5)
        ]
        permissions.add("acme", made)
        permissions.add("acme", [a_permission(model="other")])
        expected = [p.id for p in sorted(made, key=lambda p: (p.created_at, p.id))]
        for ascending in (True, False):
            found = pages(
                lambda after, ascending=ascending: permissions.list(  # type: ignore[misc]
                    "m", after=after, limit=2, ascending=ascending
                )
            )
            assert found == (expected if ascending else expected[::-1])
        assert permissions.list("m", project_id="p3") == Page((made[3],), has_more=False)
        with pytest.raises(InvalidRequest):
            permissions.list("other", after=made[0].id)
