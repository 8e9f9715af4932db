"""The server's commands: ``serve``, ``gateway``, ``worker``, ``engine``, ``migrate``, ``doctor``,
``keys``, ``tenants``, ``webhooks``, ``audit``, ``merge``.

Each is also a sub-command of ``tunery``, which the client brings.
"""

import typer

from tunery_server.cli.audit_commands import audit
from tunery_server.cli.doctor_command import doctor
from tunery_server.cli.key_commands import keys
from tunery_server.cli.merge_command import merge
from tunery_server.cli.process_commands import engine, gateway, migrate, serve, worker
from tunery_server.cli.tenant_commands import tenants
from tunery_server.cli.webhook_commands import webhooks

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Tunery's server processes."
)
for command in (serve, gateway, worker, engine, migrate, doctor, audit, merge):
    app.command()(command)
app.add_typer(keys, name="keys")
app.add_typer(tenants, name="tenants")
app.add_typer(webhooks, name="webhooks")
