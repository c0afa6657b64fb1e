/**
 * The seats of a channel: each participant has one, a number below {@link SEATS}, with words in shared memory. Whose a seat is, the kernel
 * says (channel/directory/control-file.ts, where their layout is drawn).
 */
export const SEATS = 256;
/** Of a seat, in words: whether its owner sleeps. */
export const SEAT_SLEEPS = 2;
/** Of a seat, in words: the first of those that are the kind's own. */
export const SEAT_OWN = 16;
