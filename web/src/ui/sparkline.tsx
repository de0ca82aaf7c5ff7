// The last minute of something, as a small line. Decoration: the number stands beside it.
export function Sparkline({
  values,
  width = 72,
  height = 20,
  most = 100,
}: {
  values: readonly (number | null)[];
  width?: number;
  height?: number;
  most?: number;
}) {
  const step = width / Math.max(1, values.length - 1);
  const points = values.flatMap((value, index) =>
    value === null ? [] : [`${(index * step).toFixed(1)},${(height - 1 - (Math.min(value, most) / most) * (height - 2)).toFixed(1)}`],
  );
  return (
    <svg className="sparkline" width={width} height={height} aria-hidden="true">
      <polyline points={points.join(' ')} fill="none" stroke="currentColor" strokeWidth="1.5" />
    </svg>
  );
}
