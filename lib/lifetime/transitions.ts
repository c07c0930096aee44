/**
 * The phases in the life of a token, a lease, a superseded lease or a watched secret.
 *
 * - `pending`: nothing was granted yet
 * - `active`: granted, and in use
 * - `uncertain`: the deadline has passed by the local clocks only (a suspended machine, a clock that was set), so the
 *   server is asked once
 * - `retiring`: superseded, and the server was asked to end it soon
 * - `ended`: expired, revoked, or gone from the server
 * - `closed`: the application needs it no longer
 */
export type Phase = 'pending' | 'active' | 'uncertain' | 'retiring' | 'ended' | 'closed';

/**
 * Events that change the phase.
 *
 * - `granted`: the server issued the first or the next one
 * - `renewed`: the server extended it, or confirmed that it is alive
 * - `overdue`: the deadline has passed, and the server can be asked whether it is alive
 * - `ended`: the deadline has passed, or the server has ended it
 * - `retired`: the server was asked to end it soon
 * - `closed`: the application released it, or is shutting down
 */
export type Signal = 'granted' | 'renewed' | 'overdue' | 'ended' | 'retired' | 'closed';

/** Every change of phase. A signal that is missing in a phase changes nothing. */
export const TRANSITIONS: Readonly<Record<Phase, Readonly<Partial<Record<Signal, Phase>>>>> = {
  pending: { granted: 'active', closed: 'closed' },
  active: { overdue: 'uncertain', ended: 'ended', retired: 'retiring', closed: 'closed' },
  uncertain: { granted: 'active', renewed: 'active', ended: 'ended', retired: 'retiring', closed: 'closed' },
  retiring: { ended: 'ended', closed: 'closed' },
  ended: { granted: 'active', renewed: 'active', closed: 'closed' },
  closed: {},
};

/** The phase after a signal. */
export function transition(phase: Phase, signal: Signal): Phase {
  return TRANSITIONS[phase][signal] ?? phase;
}
