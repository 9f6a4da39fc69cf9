"""What schemathesis has to know of this service: how to sign in, and which ids exist.

Three people are signed up where the tests run: one asks, one is asked about, and one only ends
sessions, since a signed-out caller would be refused everything from then on.
"""

import os
import random
import uuid

import requests
import schemathesis

BASE = os.environ["CHAT_URL"] + "/api/v1"
PASSWORD = "a horse of course"
# Calls after which a token may be worth nothing.
ENDING = ("/auth/logout", "/auth/logout-all", "/auth/sessions/{sessionId}", "/auth/password", "/user")


class Person:
    def __init__(self):
        self.name = "st" + uuid.uuid4().hex[:16]
        mail = self.name + "@example.org"
        made = self.call("/auth/signup", username=self.name, email=mail, password=PASSWORD)
        self.id, self.token = made["user"]["id"], made["accessToken"]

    def call(self, path, **body):
        headers = {"Authorization": "Bearer " + self.token} if hasattr(self, "token") else {}
        answer = requests.post(BASE + path, json=body, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def sign_in(self):
        return self.call("/auth/signin", login=self.name, password=PASSWORD)


caller, friend, leaving = Person(), Person(), Person()
chat = caller.call("/chats", title="a group", memberIds=[friend.id])["id"]
messages = [
    caller.call(f"/chats/{chat}/messages", clientId=str(uuid.uuid4()), body=f"text {number}")["id"]
    for number in range(20)
]
KNOWN = {
    "chatId": lambda: chat,
    "messageId": lambda: random.choice(messages),
    "userId": lambda: friend.id,
    "sessionId": lambda: leaving.sign_in()["session"]["id"],
}


@schemathesis.auth(refresh_interval=None)
class Tokens:
    def get(self, case, context):
        path = context.operation.path.removeprefix("/api/v1")
        if context.operation.method.lower() != "get" and path in ENDING:
            return leaving.sign_in()["accessToken"]
        return caller.token

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = "Bearer " + data


@schemathesis.hook
def before_call(context, case, kwargs):
    """Half of what is well formed is made to name something that is there."""
    if random.random() < 0.5:
        return
    for name, value in (case.path_parameters or {}).items():
        if name in KNOWN and is_id(value):
            case.path_parameters[name] = KNOWN[name]()
    if case.operation.path.endswith("/auth/signin") and is_sign_in(case.body):
        case.body = {"login": friend.name, "password": PASSWORD}


def is_id(value):
    try:
        return str(uuid.UUID(value)) == value
    except (AttributeError, TypeError, ValueError):
        return False


def is_sign_in(body):
    texts = isinstance(body, dict) and [body.get("login"), body.get("password")]
    return bool(texts) and set(body) == {"login", "password"} and all(isinstance(t, str) for t in texts)
