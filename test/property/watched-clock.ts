import { VirtualClock } from '../../lib/testing/index.js';

/** A virtual clock that runs the checks each time all pending work has settled. */
export class WatchedClock extends VirtualClock {
  onRest: () => void = () => {};

  override async settle(): Promise<void> {
    await super.settle();
    this.onRest();
  }
}
