# syntax=docker/dockerfile:1
# The service's image: one program on a base without a shell, run by nobody's user. Build it from the
# root of the repository: `docker build -t chat-service .`
#
# What is fetched comes from the two images below and from the registry of crates. Pin the images by
# digest where builds must be repeatable.

ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /build
ENV CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never

# The dependencies, built for empty crates: this layer holds until a manifest or the lock changes.
# They are the longest part of a build by far.
COPY Cargo.toml Cargo.lock ./
COPY loadtest/Cargo.toml loadtest/
RUN mkdir -p src tests/it loadtest/src \
    && touch src/lib.rs tests/architecture.rs tests/it/main.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cp src/main.rs loadtest/src/main.rs \
    && cargo build --profile dist --locked -p chat-service --bin chat-service

# The service. Cargo tells old from new by times, and the sources may be older than the layer above:
# without `touch` the empty program would be the one that is shipped.
COPY migrations migrations
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --profile dist --locked -p chat-service --bin chat-service \
    && install -D target/dist/chat-service /out/usr/local/bin/chat-service \
    && test -n "$(/out/usr/local/bin/chat-service --version)"

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chat-service" \
      org.opencontainers.image.description="A realtime chat cluster: ordered, durable, and fast" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /usr/share/doc/chat-service/LICENSE
COPY --from=build /out/ /

# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
# REST and sockets; metrics, for Prometheus alone.
EXPOSE 4001 9464
# It ends in order at SIGTERM, within SHUTDOWN_GRACE_MS: give `docker stop` as long (`--stop-timeout`).
STOPSIGNAL SIGTERM
# Kubernetes asks by itself. No `curl` is needed.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/chat-service", "health"]
ENTRYPOINT ["/usr/local/bin/chat-service"]
CMD ["serve"]
