# Safelight's server in a container. Written with care, but NOT TESTED: the machine it was written on has no Docker.
#
#   docker build -t safelight .
#   docker run --rm -p 127.0.0.1:8686:8686 -v safelight:/data -e SAFELIGHT_TOKEN=choose-one safelight
#
# TORCH_INDEX names another package index for torch, such as one with builds for your GPU or for CPUs only.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY . .
# The editor is built here, by a Node that comes as a Python package; see hatch_build.py.
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /wheels .

FROM python:${PYTHON}-slim
ARG TORCH_INDEX=
RUN useradd --create-home --uid 1000 safelight && mkdir /data && chown safelight /data
# torch first: it is by far the largest layer, and changes least.
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url $TORCH_INDEX} torch torchvision
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl
USER safelight
ENV SAFELIGHT_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8686
# SIGTERM: runs stop at their next step and go on after the next start.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8686/healthz', timeout=4)"]
# In a container all addresses are listened on, so a token is needed: SAFELIGHT_TOKEN, or the one in the log.
ENTRYPOINT ["safelight", "serve", "--host", "0.0.0.0", "--log", "json"]
