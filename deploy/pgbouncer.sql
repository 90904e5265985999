-- Run once by PostgreSQL's superuser, in the database of the ledger: the two logins that deploy/pgbouncer.ini names. Their passwords
-- are set with \password (psql), and go into PgBouncer's auth_file.
CREATE ROLE cloudx_pool LOGIN IN ROLE cloudx_worker;
ALTER ROLE cloudx_pool SET timezone = 'UTC';
ALTER ROLE cloudx_pool SET statement_timeout = '120s';
ALTER ROLE cloudx_pool SET idle_in_transaction_session_timeout = '300s';
CREATE ROLE cloudx_auth LOGIN;
-- Tells PgBouncer, and nobody else, how a worker proves who it is (pg_authid(5): a SCRAM secret, not the password).
CREATE OR REPLACE FUNCTION cloudx_login_secret(asked text, OUT login text, OUT secret text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.rolname::text, a.rolpassword FROM pg_authid a
    WHERE a.rolname = asked AND a.rolcanlogin AND NOT a.rolsuper AND pg_has_role(a.oid, 'cloudx_worker', 'USAGE')
        AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > now())
$$;
REVOKE ALL ON FUNCTION cloudx_login_secret(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cloudx_login_secret(text) TO cloudx_auth;
