# The server in one image: runs as nobody in particular, writes to /data only (works with a read-only root).

# The page, with the Node and the packages that the locks name by hash.
FROM python:3.12-slim AS page
WORKDIR /src
COPY requirements-node.lock ./
RUN pip install --no-cache-dir --require-hashes --target .node -r requirements-node.lock
COPY web/node.sh web/package.json web/package-lock.json web/.npmrc web/
RUN sh web/node.sh npm ci
COPY web web
RUN sh web/node.sh vite build --logLevel warn

FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements.lock ./
# Every wheel is checked against the hashes; which of them the image needs is decided below by the package itself.
RUN pip wheel --no-cache-dir --require-hashes --no-deps -r requirements.lock -w /wheels
COPY setup.cfg pyproject.toml LICENSE README.md holdfast.py ./
COPY protocol protocol
COPY server server
COPY client client
COPY --from=page /src/server/holdfast_server/page server/holdfast_server/page
RUN python -m venv /build && /build/bin/pip install --no-cache-dir --no-index --find-links=/wheels setuptools \
 && /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation -w /wheels . \
 && python -m venv /opt/holdfast \
 && /opt/holdfast/bin/pip install --no-cache-dir --no-index --find-links=/wheels 'holdfast[server,cluster]' \
 && /opt/holdfast/bin/pip check \
 && /opt/holdfast/bin/python -c 'from holdfast_server.doors.page_files import read_page; assert read_page(), "no page"' \
 && /opt/holdfast/bin/python -m compileall -q /opt/holdfast/lib \
 && /opt/holdfast/bin/pip uninstall --yes --quiet pip \
 && install -d -o 65532 -g 65532 /data

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Holdfast" org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/holdfast/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/holdfast /opt/holdfast
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
# SIGTERM drains: running answers get their grace, sockets are told to come back, then exit 0.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["holdfast"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080", "--data", "/data"]
