"""What schemathesis has to know of this service: how to sign in, and which ids exist.

Three people are signed up where the tests run: one asks, one is asked about, and one only ends
sessions, since a signed-out caller would be refused everything from then on. Operators' calls are
made by the cluster's operator.
"""

import os
import random
import uuid

import requests
import schemathesis

BASE = os.environ["CHAT_URL"] + "/api/v1"
PASSWORD = "a horse of course"
# Calls after which a token may be worth nothing, and calls after which an account may be: the tool
# learns the password from other calls.
ENDING = ("/auth/logout", "/auth/logout-all", "/auth/sessions/{sessionId}")
LAST = ("/auth/password", "/user")


class Operator:
    """Who may use `/admin`, as the cluster's supervisor made them."""

    def __init__(self):
        body = {"login": os.environ["CHAT_ADMIN_LOGIN"], "password": os.environ["CHAT_ADMIN_PASSWORD"]}
        answer = requests.post(BASE + "/auth/signin", json=body, timeout=10)
        answer.raise_for_status()
        self.token = answer.json()["accessToken"]


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

    def check(self):
        """A run whose token is refused proves nothing."""
        headers = {"Authorization": "Bearer " + self.token}
        requests.get(BASE + "/user/profile", headers=headers, timeout=10).raise_for_status()


operator, caller, friend, leaving = Operator(), Person(), Person(), Person()
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
        if path.startswith("/admin"):
            return operator.token
        if context.operation.method.lower() != "get":
            if path in LAST:
                return Person().token
            if path in ENDING:
                return leaving.sign_in()["accessToken"]
        caller.check()
        return caller.token

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = "Bearer " + data


@schemathesis.hook
def before_call(context, case, kwargs):
    """Half of what is well formed is made to name something that is there."""
    if case.operation.path.startswith("/api/v1/admin") and "userId" in (case.path_parameters or {}):
        # The tool learns ids from answers; an operator must not sign the caller out.
        if case.path_parameters["userId"] in (caller.id, leaving.id):
            case.path_parameters["userId"] = friend.id
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
