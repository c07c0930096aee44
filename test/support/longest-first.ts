import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take 10 s and more, mostly waiting. They start first, so that none of them runs alone at the end. */
const LONGEST = [
  'drivers/contract/postgres',
  'drivers/samples',
  'integration/rotation',
  'conformance/conformance',
  'integration/outage',
  'e2e/streams',
  'integration/suspend',
  'e2e/start.e2e',
  'integration/caching-proxy',
  'e2e/shutdown.e2e',
  'support/servers',
  'property/thirty-days',
];

/** Starts the longest files first; vitest orders the others by the time of their last run, or by size. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.findIndex((name) => moduleId.includes(`/test/${name}`));
      return place === -1 ? LONGEST.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
