"""Asks for the aircraft in a scene: python aircraft_client.py SCENE.npz [HOST:PORT [PICTURE.png]]"""

import sys
from pathlib import Path

import aircraft_pb2
import aircraft_pb2_grpc
import grpc

SCENE = Path(sys.argv[1])
TARGET = sys.argv[2] if len(sys.argv) > 2 else "localhost:9000"
PICTURE = Path(sys.argv[3] if len(sys.argv) > 3 else "aircraft.png")

with grpc.insecure_channel(TARGET) as channel:
    stub = aircraft_pb2_grpc.AircraftStub(channel)
    request = aircraft_pb2.FindRequest(npz=SCENE.read_bytes(), percent=1)
    found = stub.Find(request, metadata=(("application", "aircraft"),), timeout=60)
PICTURE.write_bytes(found.picture_png)
PICTURE.with_name(f"mask-{PICTURE.name}").write_bytes(found.mask_png)
print(f"marked: {found.marked} pixels with scores above {found.threshold:.2f}")
print(f"most unusual: line {found.line}, sample {found.sample}, score {found.highest:.2f}")
