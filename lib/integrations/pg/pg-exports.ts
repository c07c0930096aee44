import pg from 'pg';

// Libraries need these besides the classes of pg.
export const types: typeof pg.types = pg.types;
export const defaults: typeof pg.defaults = pg.defaults;
