/**
 * The seats of a channel: each participant has one, a number below {@link SEATS}, with words in shared memory. The kernel says which
 * process owns a seat (channel/directory/control-file.ts, where the layout is drawn).
 */
export const SEATS = 256;
/** In a seat, in words: whether its owner sleeps. */
export const SEAT_SLEEPS = 2;
/** In a seat, in words: the first of the kind's own. */
export const SEAT_OWN = 16;
