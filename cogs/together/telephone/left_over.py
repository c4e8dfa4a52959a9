"""Delete the pictures of telephones that ended before they were shown."""

from __future__ import annotations

from bot.client import Client
from bot.jobs.deletion import delete_job
from bot.ui.i18n import tr
from db.together.sessions import Session


async def drop_left_over(client: Client, session: Session | None = None) -> None:
    """Delete the pictures of all games that have ended; cancel what `session`, one of them, still has drawn."""
    services, message = client.services, tr("The telephone ended before this was shown.")
    for made in await services.db.sessions.rounds(session.id) if session else ():
        if await services.db.jobs.cancel(made.job_id, message):
            await client.tasks.cancel(made.job_id)
    for job_id in await services.db.telephones.left_over():
        if await services.db.jobs.mark_failed(job_id, message) and (record := await services.db.jobs.get(job_id)):
            await delete_job(services, client.delivery, record)
