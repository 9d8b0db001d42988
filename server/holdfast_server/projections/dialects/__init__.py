"""Five dialects of asynchronous chat, each as it was written down for another server: requests in, views and streams out.

Every view is told from a `Story`, which reads any log: a request that came by one door can be asked after in any dialect.

What becomes of each field of a request. A field that is not in the table is refused by its name.

    dialect          field              what becomes of it
    async_chat       agent_id           honoured: who answers; without it the default agent
                     message            honoured
                     chat_history       honoured: given to the agent; nothing is kept of it in a chat
    workflow_jobs    message            honoured
                     async              honoured: a job, or the answer in the reply
                     session_id         honoured: a chat of the server, whose history the agent is given
                     memory             honoured: false keeps the message out of the session; true needs a session
                     actions            handed to an agent that takes it; it only permits, so else nothing is missing:
                                        the answer's `actions` are those that the agent has
                     intelligent_rag    as actions; what the answer cites is in `sources`
    chat_tasks       message            honoured
                     async_mode         honoured, by the door: it is in the query
                     session_id         honoured: a chat of the server; without it a new one
                     role               `user` is neutral; else handed to the agent, refused if it does not take it
                     media              accepted when empty, else refused: there is nothing that could look at it
    invoke           agent_id           honoured: who answers; without it the default agent
                     messages           honoured: the conversation; its last words of a user are what is asked
                     chat_id            shown again, nothing else: the conversation is in `messages`
    workflow_stream  deployment_name    honoured: the agent of that name
                     query              honoured
                     chat_history       honoured, as in async_chat
                     runtime_overrides  handed to the agent as options, refused if it does not take one of them

In histories, `role` and `actor` are one, and so are `content` and `message`.
"""

from __future__ import annotations

from . import async_chat, chat_tasks, invoke, workflow_jobs, workflow_stream
from .asking import CannotHonour, Terms
from .story import Story

__all__ = [
    "CannotHonour",
    "Story",
    "Terms",
    "async_chat",
    "chat_tasks",
    "invoke",
    "workflow_jobs",
    "workflow_stream",
]
