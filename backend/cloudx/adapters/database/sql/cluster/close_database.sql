-- Closes a database to all but the group roles, by its superuser, as often as you like. `cloudx cluster set-up` and the Compose
-- file's set-up run it in the database itself; the roles cloudx_owner, cloudx_backend and cloudx_worker exist by then.
-- What an earlier install's superuser owns becomes the owner's: functions run with their owner's rights, and no more.
DO $$
DECLARE
    one record;
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO cloudx_owner, cloudx_backend, cloudx_worker', current_database()
    );
    ALTER SCHEMA public OWNER TO cloudx_owner;
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;  -- the owner may not: it has no CREATE on the database
    END IF;
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO cloudx_backend, cloudx_worker;
    FOR one IN SELECT oid::regclass::text AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner <> 'cloudx_owner'::regrole
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO cloudx_owner', one.name);
    END LOOP;
    FOR one IN SELECT oid::regprocedure::text AS name FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner <> 'cloudx_owner'::regrole
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO cloudx_owner', one.name);
    END LOOP;
    -- Everybody may call these by default. An advisory lock would hold up claims, upgrades and the dispatching leader as well as
    -- LOCK TABLE does; large objects fill the disk; and logins that share a name read each other's statements, keys of leases
    -- included.
    FOR one IN SELECT oid::regprocedure::text AS name FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND (
            proname ~ '^pg_(try_)?advisory_(xact_)?lock' OR proname ~ '^lo_(creat|create|import|from_bytea)$'
            OR proname IN ('pg_stat_get_activity', 'pg_stat_get_backend_activity')
        )
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', one.name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO cloudx_owner, cloudx_backend, pg_monitor', one.name);
    END LOOP;
END $$;
