import type { Client } from './instance.js';
import type { Measured } from './measure.js';
import { lifetimeWatcher, lifetimeWatcherOpenBao } from './policies/lifetime-watcher.js';
import { ours } from './policies/ours.js';
import { capacity, SCENARIOS, SECOND, type Scenario } from './scenarios.js';
import type { Figures } from './simulate.js';
import { chanceAlone } from './tally.js';

/** What one client did in all scenarios. */
export interface Result {
  client: Client;
  measured: Measured;
}

const whole = (value: number) => Math.round(value).toLocaleString('en-US');

function time(seconds: number): string {
  return seconds < 120 ? `${whole(seconds)} s` : `${whole(seconds / 60)} min`;
}

const HEAD = [
  'Client',
  'Peak/mean',
  'Peak a second',
  'Logins a minute',
  'Issues a minute',
  'All healthy after',
  'Expired in use',
  'Requests',
];

function row(name: string, figures: Figures, { after }: Scenario): string[] {
  const { expiredInstances, expiredSeconds, withoutSeconds, requests, refused, healthyAfter } = figures;
  const hours = (seconds: number) => `${(seconds / 3600).toFixed(1)} h`;
  return [
    name,
    figures.peakToMean.toFixed(1),
    whole(figures.peak),
    whole(figures.loginsAMinute),
    whole(figures.issuesAMinute),
    healthyAfter === undefined ? `not within ${time(after / SECOND)}` : time(healthyAfter),
    (expiredInstances === 0 ? '0' : `${whole(expiredInstances)} (${hours(expiredSeconds)})`) +
      (withoutSeconds > 0 ? `, none ${hours(withoutSeconds)}` : ''),
    whole(requests) + (refused > 0 ? ` (${whole(refused)})` : ''),
  ];
}

/** A table for each scenario. */
export function tables(results: readonly Result[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return SCENARIOS.map((scenario) =>
    [
      `### ${scenario.title}\n`,
      line(HEAD),
      line(HEAD.map((_, column) => (column ? '---:' : '---'))),
      ...results.map(({ client, measured }) => line(row(client.name, measured[scenario.id], scenario))),
    ].join('\n'),
  ).join('\n\n');
}

/** The whole page. */
export function report(results: readonly Result[], instances: number): string {
  const of = (client: Client) => results.find((one) => one.client === client)?.measured as Measured;
  const { restart, seal } = of(ours);
  const ratio = (peer: Client) => (restart.peakToMean / of(peer).restart.peakToMean).toFixed(2);
  const { after } = SCENARIOS.find(({ id }) => id === 'restart') as Scenario;
  const chance = chanceAlone(restart.mean, after / SECOND);
  const flood = of(lifetimeWatcherOpenBao)['fail-over'];
  return `# Fleet behaviour

Made by \`npm run fleet\`; do not edit. What ${whole(instances)} instances do together to one server, when they start,
when it restarts, is sealed, or forgets their tokens: this package, and the policies of other clients, in the same
simulation.

![Requests a second over time, for each client](fleet.svg)

- **After the restart**, peak over mean is ${restart.peakToMean.toFixed(1)}: ${ratio(lifetimeWatcherOpenBao)} of that of OpenBao's LifetimeWatcher (goal: at most a
  third), and ${ratio(lifetimeWatcher)} of that of HashiCorp's, which was mended and backs off after errors. As many requests at random times
  would have ${chance.toFixed(1)} by chance alone, which is ${(chance / of(lifetimeWatcher).restart.peakToMean).toFixed(2)} of HashiCorp's.
- **In the seal** of 10 minutes, ${whole(seal.expiredInstances)} instances held on to a credential that was over (goal: 0).
- **In the fail-over**, OpenBao's LifetimeWatcher asks as often as the server can answer (${whole(flood.peak)} a second) until its
  leases would have ended: its ratio is low, as it is at its peak all the time.

${tables(results)}

## What the figures mean

- **Peak/mean**: requests in the busiest second over those in the average one, from the end of the incident on; in the
  rolling start, from its beginning. **Peak a second** is the former alone. The restart was run three times, and the
  run with the median ratio is told.
- **Logins**, **issues a minute**: answered ones, in the 60 seconds with the most of them.
- **All healthy after**: from the end of the incident until each instance held a credential that the server honours,
  and nothing that it has to do was failing. A renewal that waits for its next try counts as failing, though the
  credential may have long to live. It is looked at every 10 s at first, and every minute later on.
- **Expired in use**: how many instances would have opened a connection with a credential that was over, and for how
  long, all added up. \`none\` is the time in which instances knew that they had no credential.
- **Requests**: all from the beginning of the incident on; in brackets those that found no server.

A low ratio is no merit by itself: who gives up asks for nothing. In the fail-over no client is told that its token is
lost. Each finds out at its next renewal, and holds on to what is over until then; this package then makes four requests
at once (renewal, look-up, login, issue), which shows in its ratio.

## How it is done

Each instance has one AppRole login and one lease of a database role, both with a TTL of 1 h and far from their max TTL.
A fleet has run for long when an incident comes, so its renewals are spread over all times alike; it was made by random
starts within one renewal period. All clients have the same random numbers, and a run always comes out alike.

The server is the simulated one of \`nestjs-vault/testing\` under its virtual clock, behind a queue: it works on one
request after the other, ${SECOND / capacity(instances)} ms each (${capacity(instances)} a second), and the rest wait, as Vault has no limit of its own. It does no work for
a request whose client has gone. A restart keeps its data.

This package runs as it is: real connections, with their scheduler, policies and defaults, for which only the clock and
the transport are exchanged. The other clients are their policies, written anew from the sources that each file in
[bench/fleet/policies](../bench/fleet/policies) names, line by line, with their documented defaults:

- **LifetimeWatcher** of the Go client, with the application around it that HashiCorp's sample shows
  (hello-vault-go), but which tries again with the back-off of HashiCorp's Agent where the sample ends the process.
  _HashiCorp_: since the fix of hashicorp/vault#26383. _OpenBao_: the delay after an error is computed and not used
  (openbao/openbao#3747); HashiCorp's was the same before.
- **Spring Vault**: a rotating secret as Spring Cloud Vault sets it up. A lease whose renewal fails is dropped
  (\`LeaseStrategy.dropOnError\`, spring-cloud/spring-cloud-vault#708) and never tried again, as its maintainers see
  retries as the HTTP client's; few requests after an incident are no merit then.
- **node-vault**: \`startTokenRenewal\` and \`startLeaseRenewal\`, which end at the first error, with an application that
  listens to their events, which are not in its README, and acts as the one around LifetimeWatcher.

Where a default left a choice, the kinder reading was taken; each file says which.
`;
}
