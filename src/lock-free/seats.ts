/** How many participants a channel has at most: each has a seat, a number below this. */
export const SEATS = 256;
