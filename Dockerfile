# One image for every part: the API (the default command), a worker (`cloudx worker`), both (`cloudx up`).
# `make image` builds it; docs/image.md tells how to run it, and with which privileges.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
# The building machine's settings of pip. The image takes /app from this stage, and none of its history.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_DEFAULT_TIMEOUT
# Debian's Python comes without ensurepip, the official image's with it.
RUN python3 -I -c 'import ensurepip' 2>/dev/null \
 || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; }
# The shipped environment has no pip.
RUN python3 -I -m venv /installer && python3 -I -m venv --without-pip /app/.venv
# The bracket makes the certificates optional: scripts/make-image adds them where PIP_CERT names some.
COPY requirements/build.txt requirements/run.txt pip-cert.pe[m] /build/
RUN if [ -e /build/pip-cert.pem ]; then export PIP_CERT=/build/pip-cert.pem; fi \
 && export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all: PIP_REQUIRE_HASHES=1 \
 && /installer/bin/pip install -q -r /build/build.txt \
 && /installer/bin/pip --python /app/.venv/bin/python install -q -r /build/run.txt

FROM packages AS build
COPY pyproject.toml README.md /build/source/
COPY backend /build/source/backend
# A root of its own makes our code a layer of its own: a rollout transfers a megabyte.
RUN /installer/bin/pip wheel -q --no-index --no-build-isolation --no-deps -w /build/wheels /build/source \
 && /installer/bin/pip --python /app/.venv/bin/python install -q --no-index --no-deps --root /cloudx /build/wheels/*.whl

FROM ${BASE_IMAGE}
# util-linux has setpriv: with it the kernel ends a scanner when its worker dies.
# The data folder takes any user's files, as /tmp does, for `docker run --user`.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      iproute2 libpcap0.8 masscan nmap util-linux zmap >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
 && install -d -m 1777 /var/lib/cloudx
COPY --from=packages /app /app
COPY --from=build /cloudx/app /app
COPY scripts/container-health /app/
WORKDIR /app
ENV PATH=/app/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    CLOUDX_BIND=0.0.0.0 \
    CLOUDX_DATA_DIR=/var/lib/cloudx
VOLUME /var/lib/cloudx
EXPOSE 5001
HEALTHCHECK --interval=10s --timeout=4s --start-period=20s --retries=3 CMD ["/app/container-health"]
CMD ["cloudx", "serve"]
