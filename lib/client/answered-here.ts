/** Origins of servers in this thread, as a listening simulated one: the thread cannot block for them and answer. */
export const answeredHere = new Set<string>();
