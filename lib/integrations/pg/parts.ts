import pg from 'pg';

// What libraries take of pg besides its classes.
export const types: typeof pg.types = pg.types;
export const defaults: typeof pg.defaults = pg.defaults;
