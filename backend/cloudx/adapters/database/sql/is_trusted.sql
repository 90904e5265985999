-- True for a login that may change chunks by itself: the backend's, the owner's, and any of an install without the cluster's roles.
CREATE OR REPLACE FUNCTION cloudx_is_trusted() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT has_table_privilege(session_user, 'public.chunks', 'UPDATE')
$$;
