import { VirtualClock } from '../../lib/testing/index.js';

/** A virtual clock that has everything looked at each time that all has come to rest. */
export class WatchedClock extends VirtualClock {
  onRest: () => void = () => {};

  override async settle(): Promise<void> {
    await super.settle();
    this.onRest();
  }
}
