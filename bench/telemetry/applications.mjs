import { Agent, get } from 'node:http';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { provision, startOpenBao, startPostgres } from '../../test/support/servers.mjs';
import { concurrently } from '../concurrently.mjs';
import { median, table } from '../report.mjs';
import { Child } from './child.mjs';

/** The first blocks are the warm-up. */
const [BLOCKS, WARM_UP, REQUESTS, WIDTH] = [45, 5, 1_500, 10];
const program = fileURLToPath(new URL('application.mjs', import.meta.url));
const agent = new Agent({ keepAlive: true, maxSockets: WIDTH });

/** The CPU of a whole application under load, with metrics and traces on and off. */
export async function compareApplications() {
  const [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
  const running = [];
  try {
    const roles = [{ name: 'app', defaultTtl: '5s', maxTtl: '15s' }];
    const role = await provision(bao, postgres, { roles });
    const { host, port, database } = postgres;
    const options = { vault: { address: bao.address, role }, database: { host, port, database } };
    for (const mode of ['nothing', 'traces']) {
      const one = { child: new Child(program, { ...options, mode }), cpu: [] };
      running.push(one);
      one.port = await one.child.answer();
    }
    for (let block = 0; block < BLOCKS; block++)
      for (const { child, port: own, cpu } of block % 2 ? running : running.toReversed()) {
        await load(own);
        const used = await child.ask('measure');
        if (block >= WARM_UP) cpu.push(used);
      }
    report(running.map(({ cpu }) => cpu));
  } finally {
    await Promise.all(running.map(({ child }) => child.end()));
    agent.destroy();
    await Promise.all([bao.stop(), postgres.stop()]);
  }
}

async function load(port) {
  const one = () =>
    new Promise((resolve, reject) => {
      const options = { port, host: '127.0.0.1', agent };
      get(options, (response) => {
        if (response.statusCode !== 200) return reject(new Error(`the answer is ${response.statusCode}`));
        response.resume().once('end', resolve);
      }).once('error', reject);
    });
  await concurrently(REQUESTS, WIDTH, one);
}

function report([off, on]) {
  const sum = (cpu) => cpu.reduce((all, one) => all + one, 0);
  const row = (name, cpu) => [
    name,
    (sum(cpu) / 1_000).toFixed(2),
    (sum(cpu) / sum(off)).toFixed(3),
    median(cpu.map((one, block) => one / off[block])).toFixed(3),
  ];
  const blocks = `${off.length} turns of ${REQUESTS} requests; load average ${loadavg()[0].toFixed(1)}`;
  console.log(`\nA Nest application with a rotating pool (${blocks})`);
  const names = ['CPU s', 'ratio', 'median ratio of turns'];
  console.log(table(['', ...names], [row('nothing', off), row('metrics and traces', on)]));
}
