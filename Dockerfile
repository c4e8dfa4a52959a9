# docker build --build-arg TORCH=cpu --build-arg EXTRAS=c2pa,film .
# TORCH is cpu, cuda, or a name of PyTorch's index such as cu126 or rocm6.4. EXTRAS are those of pyproject.toml, or none.
FROM python:3.11-slim-bookworm

ARG TORCH=cpu
ARG EXTRAS=
ENV ATELIER_TORCH=${TORCH} \
    ATELIER_EXTRAS=${EXTRAS} \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1

RUN useradd --uid 10001 --create-home --home-dir /atelier atelier \
    && install -d -o atelier -g atelier -m 0700 /data /models
WORKDIR /atelier

# The packages first: a change of the program does not install them again.
COPY pyproject.toml constraints.txt README.md LICENSE main.py ./
COPY scripts/environment scripts/install.py scripts/torch_build.py scripts/
RUN mkdir bot cogs db generation preview training && scripts/environment

COPY . .
# The bot cannot write here, so that Python could not keep what it compiles.
RUN .venv/bin/python -m compileall -q -j 0 .venv/lib main.py bot cogs db generation preview >/dev/null || true

USER atelier
# The two volumes, and the port that the health check asks inside the container. All else as in .env.example.
ENV ATELIER_CONTAINER=1 \
    DATA_DIR=/data \
    HF_HOME=/models \
    METRICS_PORT=9464
VOLUME ["/data", "/models"]

# Loading a large model for the first time includes its download, which counts as healthy for half an hour.
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 \
    CMD [".venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/health', timeout=8)"]

STOPSIGNAL SIGTERM
ENTRYPOINT [".venv/bin/python", "main.py"]
