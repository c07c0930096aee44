// The work of the job. `nestjs-vault exec` gives it PGUSER and PGPASSWORD, which pg reads by itself.
import pg from 'pg';

const client = new pg.Client();
await client.connect();
try {
  const { rowCount } = await client.query(`INSERT INTO orders (item) VALUES ('from the job')`);
  console.log(`${rowCount} row`);
} finally {
  await client.end();
}
