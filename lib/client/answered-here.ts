/** Origins of servers in this thread, as a simulated one that listens: it cannot wait for them and answer. */
export const answeredHere = new Set<string>();
