import {
  connectionsInMariaDb,
  mariaDbAvailable,
  provisionMariaDb,
  startMariaDb,
  usersInMariaDb,
} from '../../support/mariadb.mjs';
import { ROWS, type BackendKind } from './backend.js';

const SETUP = `
  create table orders (
    id bigint auto_increment primary key,
    item text not null,
    quantity int not null default 1,
    placed_at timestamp not null default current_timestamp
  );
  insert into orders (id, item) select seq, 'tea' from seq_1_to_${ROWS};
`;

const CREATION = [
  `create user '{{name}}'@'%' identified by '{{password}}'`,
  `grant select, insert, update on orders.* to '{{name}}'@'%'`,
];
const REVOCATION = [`drop user if exists '{{name}}'@'%'`];

export const MARIADB: BackendKind = {
  missing: () => {
    const available = mariaDbAvailable();
    return available.ok ? undefined : available.reason;
  },
  start: async () => {
    const mariadb = await startMariaDb();
    await mariadb.query(SETUP);
    const { host, port, database } = mariadb;
    return {
      where: { host, port, database },
      provision: (bao, lease, options) =>
        provisionMariaDb(bao, mariadb, {
          ...options,
          roles: [{ ...lease, creationStatements: CREATION, revocationStatements: REVOCATION }],
        }),
      users: async () => (await usersInMariaDb(mariadb)).length,
      connections: () => connectionsInMariaDb(mariadb),
      stop: () => mariadb.stop(),
    };
  },
};
