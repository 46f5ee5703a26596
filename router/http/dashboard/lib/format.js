// Numbers as people read them: always with a unit, in few letters.

const counts = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const NONE = "–";

export const count = (value) => counts.format(value);

/** 12,345 as it is, 1.2M. */
export const compact = (value) => (Math.abs(value) < 100_000 ? counts.format(Math.round(value)) : short.format(value));

/** Of something per second. */
export function rate(value) {
  if (value >= 100) return compact(value);
  return value === 0 ? "0" : value.toFixed(value >= 10 ? 0 : 1);
}

export function seconds(value) {
  if (value == null || Number.isNaN(value)) return NONE;
  if (value === 0) return "0 ms";
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value < 0.01) return `${(value * 1e3).toFixed(1)} ms`;
  if (value < 1) return `${Math.round(value * 1e3)} ms`;
  return value < 60 ? `${value.toFixed(value < 10 ? 2 : 1)} s` : minutes(value);
}

/** A long time, such as "3 h 12 min". */
export function minutes(value) {
  const whole = Math.floor(value / 60);
  if (whole < 1) return `${Math.floor(value)} s`;
  if (whole < 60) return `${whole} min`;
  const hours = Math.floor(whole / 60);
  return hours < 48 ? `${hours} h ${whole % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function percent(share, digits = 1) {
  if (share == null || Number.isNaN(share)) return NONE;
  const value = share * 100;
  const exact = value === 0 || value === 100;
  return `${value.toFixed(exact ? 0 : digits)} %`;
}

export function usd(value) {
  if (value == null) return NONE;
  if (value === 0) return "$0";
  if (Math.abs(value) < 0.01) return `$${value.toLocaleString("en", { maximumSignificantDigits: 2 })}`;
  return `$${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let left = value;
  let unit = 0;
  for (; left >= 1024 && unit < units.length - 1; unit++) left /= 1024;
  return `${unit ? left.toFixed(1) : left} ${units[unit]}`;
}

/** The time of day. */
export const clock = (time) => new Date(time).toLocaleTimeString("en-GB");

export const plural = (number, word, many = `${word}s`) => `${count(number)} ${number === 1 ? word : many}`;

/** "rolled_back" is written "rolled back". */
export const words = (name) => String(name).replaceAll("_", " ");
