/**
 * The graph of `python -m benchmarks.editor` in a plain page of React Flow, as its documentation would have one write it:
 * what the editor's own canvas is measured against. No part of the package.
 */

import { type Edge, Handle, type Node, Position, ReactFlow, type ReactFlowInstance } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { useState } from "react";
import { createRoot } from "react-dom/client";

interface Place {
  id: string;
  x: number;
  y: number;
}

declare global {
  interface Window {
    bench: {
      open: (nodes: Place[], links: [string, string, string, string][]) => void;
      flow?: ReactFlowInstance;
    };
  }
}

const INPUTS = ["a", "b", "c", "d"];
const OUTPUTS = ["x", "y"];
const CHOICES = Array.from({ length: 10 }, (_, index) => `choice ${index}`);

function Bench({ id }: { id: string }) {
  const [amount, setAmount] = useState(0.5);
  return (
    <div className="bench">
      <header>{id}</header>
      <div className="ports">
        {INPUTS.map((name, index) => (
          <Handle key={name} id={name} type="target" position={Position.Left} style={{ top: 12 + 24 * index }} />
        ))}
        {OUTPUTS.map((name, index) => (
          <Handle key={name} id={name} type="source" position={Position.Right} style={{ top: 12 + 24 * index }} />
        ))}
      </div>
      <label>
        Count <input className="nodrag" type="number" defaultValue={1} />
      </label>
      <label>
        Amount
        <input className="nodrag" type="range" min="0" max="1" step="0.01" value={amount} onChange={(event) => setAmount(Number(event.target.value))} />
      </label>
      <label>
        Choice
        <select className="nodrag">
          {CHOICES.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      </label>
      <label>
        Text <input className="nodrag" defaultValue="some text" />
      </label>
    </div>
  );
}

const nodeTypes = { bench: Bench };

function Page() {
  const [graph, setGraph] = useState<{ nodes: Node[]; edges: Edge[] } | null>(null);
  window.bench ??= {
    open: (places, links) =>
      setGraph({
        nodes: places.map(({ id, x, y }) => ({ id, type: "bench", position: { x, y }, data: {} })),
        edges: links.map(([source, sourceHandle, target, targetHandle]) => ({
          id: `${source}.${sourceHandle}>${target}.${targetHandle}`,
          source,
          sourceHandle,
          target,
          targetHandle,
        })),
      }),
  };
  if (!graph) return null;
  return (
    <ReactFlow
      defaultNodes={graph.nodes}
      defaultEdges={graph.edges}
      nodeTypes={nodeTypes}
      minZoom={0.02}
      panOnDrag={[1]}
      onInit={(flow) => {
        window.bench.flow = flow as ReactFlowInstance;
      }}
    />
  );
}

createRoot(document.getElementById("root") as HTMLElement).render(<Page />);
