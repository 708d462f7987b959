-- From here on a worker seals every page as soon as it may be.
ALTER SYSTEM SET milvus.seal_eagerly = on;
SELECT pg_reload_conf();
