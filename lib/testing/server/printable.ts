/** Printable in Go: letters, marks, numbers, punctuation, symbols, and no white space but the blank. */
export const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;
