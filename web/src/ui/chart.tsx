// A line chart over time (uPlot), in the colours of the theme. Its title and last values are text beside it.
import { useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Line {
  readonly label: string;
  readonly values: readonly (number | null | undefined)[];
  readonly dashed?: boolean;
}

export interface ChartProps {
  /** Seconds since 1970. */
  readonly at: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly label: string;
  readonly height?: number;
}

const colors = ['#17a2b5', '#e8890c', '#7b61c9', '#868e96'];

export function Chart({ at, lines, format, label, height = 170 }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot>(null);
  const scheme = useComputedColorScheme('light');
  useMantineColorScheme();
  const data = [at, ...lines.map(({ values }) => values)] as unknown as UPlot.AlignedData;
  const shape = `${scheme} ${lines.map((line) => line.label).join()}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new plot only for another shape; new data are put into the old one below
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const axis = scheme === 'dark' ? '#a9b3bf' : '#59636f';
    const grid = { stroke: scheme === 'dark' ? '#2c343f' : '#e7eaee', width: 1 };
    const font = '11px system-ui, sans-serif';
    const made = new UPlot(
      {
        width: element.clientWidth || 300,
        height,
        cursor: { drag: { x: false, y: false } },
        legend: { show: false },
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.12 : 1] } },
        axes: [
          { stroke: axis, grid, ticks: grid, font },
          { stroke: axis, grid, ticks: { show: false }, font, size: 66, values: (_, ticks) => ticks.map(format) },
        ],
        series: [
          {},
          ...lines.map((line, index) => ({
            label: line.label,
            stroke: line.dashed ? '#e03131' : (colors[index] ?? colors[0]),
            width: line.dashed ? 1.2 : 1.6,
            ...(line.dashed ? { dash: [6, 4] } : index === 0 ? { fill: `${colors[0]}1f` } : {}),
            points: { show: false },
            spanGaps: false,
          })),
        ],
      } as UPlot.Options,
      data,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, height]);
  useEffect(() => void plot.current?.setData(data));
  return <div ref={box} role="img" aria-label={label} style={{ minHeight: height }} />;
}
