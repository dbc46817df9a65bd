-- The extension of a product's name, by which summaries class products: taken from the name of each
-- of a million when a page was asked for, it was a sixth of that page's time.
-- The last extension, with the one before it (.dl1.h5, .tar.gz) where that is no number or name:
-- letters, or up to three of them and one digit.

ALTER TABLE entity ADD COLUMN extension text NOT NULL GENERATED ALWAYS AS (
    CASE WHEN lower(coalesce(name, base_name)) LIKE '%.%'
              AND split_part(lower(coalesce(name, base_name)), '.', -1) ~ '^[a-z][a-z0-9]{0,7}$'
    THEN
        CASE WHEN lower(coalesce(name, base_name)) LIKE '%.%.%'
                  AND split_part(lower(coalesce(name, base_name)), '.', -2)
                      ~ '^([a-z]{1,3}[0-9]|[a-z]{2,12})$'
        THEN '.' || split_part(lower(coalesce(name, base_name)), '.', -2) ELSE '' END
        || '.' || split_part(lower(coalesce(name, base_name)), '.', -1)
    ELSE '' END
) STORED;
COMMENT ON COLUMN entity.extension IS 'Extension of its name in lower case, empty where there is none; a function of name and base_name';
