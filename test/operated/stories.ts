import { setTimeout as sleep } from 'node:timers/promises';
import { commandsOf, type Purpose } from './runbook.js';
import type { Life, Subject, World } from './world.js';

/** One fault of one application, with the alerts that it causes. */
export interface Story {
  /** At most 8 characters: OpenBao cuts longer names off in the names of users. */
  name: string;
  life: Life;
  /** It has a server of its own: to seal it, or to count its requests. */
  ownServer?: boolean;
  /** Alerts that must fire. */
  fires: readonly string[];
  /** Further alerts that may fire: they depend on the moment at which the fault is corrected. */
  mayFire?: readonly string[];
  run: (world: World, subject: Subject) => Promise<void>;
}

const LONG: Life = { token: [120, 3_600], lease: [60, 600] };
/** Logs in again after some twenty seconds. */
const NEAR_ITS_END: Life = { token: [20, 30], lease: [20, 60] };
const UNTIL_MENDED = ['NestjsVaultExpiresSoon', 'NestjsVaultDown', 'NestjsVaultExpired'];

/**
 * Fires by the commands of its runbook, is looked at and corrected by them, and ends.
 *
 * @param drilled whether the drill has caused the fault
 */
async function byRunbook(
  world: World,
  subject: Subject,
  alert: string,
  drilled: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<void> {
  const follow = (purpose: Purpose) => world.follow(subject, commandsOf(alert, purpose));
  do await follow('drill');
  while (!(await drilled()));
  await world.fires(subject, alert);
  await follow('look');
  await follow('mend');
  await world.ends(subject, alert);
}

/** Every alert is fired by its real fault. */
export const STORIES: readonly Story[] = [
  {
    name: 'quiet',
    life: { token: [60, 300], lease: [20, 60], watches: true },
    // Its audit log has nothing but its own requests.
    ownServer: true,
    fires: [],
    run: async () => undefined,
  },
  {
    name: 'refused',
    life: NEAR_ITS_END,
    fires: ['NestjsVaultLoginRefused', 'NestjsVaultExpiresSoon', 'NestjsVaultDown', 'NestjsVaultExpired'],
    run: async (world, subject) => {
      const follow = (section: string, purpose: Purpose) =>
        world.follow(subject, commandsOf(section, purpose));
      await follow('NestjsVaultLoginRefused', 'drill');
      await Promise.all(
        ['NestjsVaultLoginRefused', 'NestjsVaultExpiresSoon'].map(async (alert) => {
          await world.fires(subject, alert);
          await follow(alert, 'look');
        }),
      );
      await follow('Find the cause', 'look');
      await Promise.all(
        ['NestjsVaultDown', 'NestjsVaultExpired'].map(async (alert) => {
          await world.fires(subject, alert);
          await follow(alert, 'look');
        }),
      );
      await follow('NestjsVaultLoginRefused', 'mend');
      for (const alert of ['NestjsVaultLoginRefused', 'NestjsVaultExpiresSoon', 'NestjsVaultDown'])
        await world.ends(subject, alert);
      await world.ends(subject, 'NestjsVaultExpired');
    },
  },
  {
    name: 'locked',
    life: NEAR_ITS_END,
    fires: ['NestjsVaultLoginLockedOut'],
    mayFire: UNTIL_MENDED,
    run: async (world, subject) => {
      await byRunbook(world, subject, 'NestjsVaultLoginLockedOut', async () => {
        // A login of the application between the wrong ones resets the server's counter: then they are repeated.
        const { body } = await subject.bao.api('GET', 'sys/locked-users');
        return body.data.total > 0;
      });
    },
  },
  {
    name: 'wrapped',
    life: { ...NEAR_ITS_END, wrapped: true },
    fires: ['NestjsVaultWrappingTokenInvalid'],
    mayFire: UNTIL_MENDED,
    run: (world, subject) => byRunbook(world, subject, 'NestjsVaultWrappingTokenInvalid'),
  },
  {
    name: 'revoked',
    life: LONG,
    fires: ['NestjsVaultCredentialsRevoked'],
    // Consumers are without credentials until the next lease is issued.
    mayFire: ['NestjsVaultExpired'],
    run: async (world, subject) => {
      // The lease, the token, the user.
      for (const drill of commandsOf('NestjsVaultCredentialsRevoked', 'drill')) {
        await world.follow(subject, [drill]);
        await world.fires(subject, 'NestjsVaultCredentialsRevoked');
        await world.follow(subject, commandsOf('NestjsVaultCredentialsRevoked', 'look'));
        await world.ends(subject, 'NestjsVaultCredentialsRevoked');
      }
    },
  },
  {
    name: 'loop',
    life: LONG,
    fires: ['NestjsVaultIssueLoop', 'NestjsVaultCredentialsRevoked'],
    // Consumers are without credentials until the next lease is issued, which may have to wait.
    mayFire: ['NestjsVaultExpired', 'NestjsVaultDown'],
    run: async (world, subject) => {
      const drilled = world.follow(subject, commandsOf('NestjsVaultIssueLoop', 'drill'));
      await world.fires(subject, 'NestjsVaultIssueLoop');
      await world.follow(subject, commandsOf('NestjsVaultIssueLoop', 'look'));
      await drilled;
      await world.ends(subject, 'NestjsVaultIssueLoop');
    },
  },
  {
    name: 'drain',
    life: { token: [120, 3_600], lease: [10, 20], drain: 3 },
    fires: ['NestjsVaultDrainTimeout'],
    run: async (world, subject) => {
      // Longer than a max TTL and the drain of the pool; it is cut off.
      const transaction = fetch(`${subject.app.url}/transaction/40000`);
      await world.until('a drain', async () => {
        const drains = await world.prometheus.query(`nestjs_vault_pool_drains{job="${subject.name}"} > 0`);
        return drains.length > 0;
      });
      await world.fires(subject, 'NestjsVaultDrainTimeout');
      await world.follow(subject, commandsOf('NestjsVaultDrainTimeout', 'look'));
      const { status } = await transaction;
      if (status !== 500) throw new Error(`The long transaction was answered with ${status}.`);
      await world.ends(subject, 'NestjsVaultDrainTimeout');
    },
  },
  {
    name: 'degraded',
    life: { ...LONG, watches: true },
    ownServer: true,
    fires: ['NestjsVaultDegraded'],
    run: (world, subject) => byRunbook(world, subject, 'NestjsVaultDegraded'),
  },
  {
    name: 'outage',
    life: { ...LONG, watches: true },
    ownServer: true,
    fires: ['NestjsVaultServerUnreachable'],
    mayFire: ['NestjsVaultDegraded'],
    run: (world, subject) => byRunbook(world, subject, 'NestjsVaultServerUnreachable'),
  },
  {
    name: 'absent',
    life: LONG,
    fires: ['NestjsVaultMetricsAbsent'],
    // It is observed during its second start.
    mayFire: ['NestjsVaultDown'],
    run: async (world, subject) => {
      await world.end(subject);
      await world.fires(subject, 'NestjsVaultMetricsAbsent');
      // There is no metric of this process any more; another one shows how an answer looks.
      await world.follow(subject, commandsOf('NestjsVaultMetricsAbsent', 'look'));
      await subject.restart();
      await world.ends(subject, 'NestjsVaultMetricsAbsent');
      await sleep(2_000);
    },
  },
];

/** For CI: the shortest two, and the application without a fault. */
export const SHORT: readonly string[] = ['quiet', 'outage', 'locked'];
