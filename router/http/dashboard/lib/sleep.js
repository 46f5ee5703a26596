// Waiting, and how long whoever asks again waits: longer each time, up to a bound.

export const FIRST_WAIT_MS = 500;
export const LONGEST_WAIT_MS = 8000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
