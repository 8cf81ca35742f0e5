"""`empty_route PORT`: the least that a server like ours can do, served as ours is."""

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def nothing() -> dict[str, str]:
    return {}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
