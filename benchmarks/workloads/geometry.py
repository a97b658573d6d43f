"""Bundle adjustment: the Jacobians of reprojection errors, one 2 x 15 matrix for each observation (as in ADBench)."""

from __future__ import annotations

import numpy as np

from .workload import Workload


def rotate(rotation, x):
    """Rodrigues' formula: a rotation by ``|rotation|`` radians about that axis."""
    angle = np.sqrt(np.sum(rotation * rotation))
    axis = rotation / angle
    cosine = np.cos(angle)
    return x * cosine + np.cross(axis, x) * np.sin(angle) + axis * (np.sum(axis * x) * (1 - cosine))


def reprojection_error(camera, point, weight, feature):
    """Two pixels of one observation.

    ``camera`` has 11 numbers: rotation (3), centre (3), focal length, principal point (2), radial distortion (2).
    """
    x = rotate(camera[:3], point - camera[3:6])
    image = x[:2] / x[2]
    r2 = np.sum(image * image)
    distorted = image * (1 + camera[9] * r2 + camera[10] * r2 * r2)
    return weight * (distorted * camera[6] + camera[7:9] - feature)


def skew(v):
    """The matrices of ``x -> cross(v, x)``, for rows ``v``."""
    out = np.zeros((len(v), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    out[:, 1, 0], out[:, 2, 0], out[:, 2, 1] = v[:, 2], -v[:, 1], v[:, 0]
    return out


def reprojection_jacobians(camera, point, weight, feature):
    """The Jacobians of all observations with respect to camera (n, 2, 11), point (n, 2, 3) and weight (n, 2).

    The derivative of the rotation is that of Gallego and Yezzi ("A compact formula for the derivative of a 3-D rotation
    in exponential coordinates", 2015, eq. 8).
    """
    v, focal, k1, k2 = camera[:, :3], camera[:, 6:7], camera[:, 9:10], camera[:, 10:11]
    square = np.sum(v * v, axis=1)[:, None, None]
    angle, cross, outer, identity = np.sqrt(square), skew(v), v[:, :, None] * v[:, None], np.eye(3)
    rotations = np.cos(angle) * identity + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / square * outer
    u = point - camera[:, 3:6]
    x = (rotations @ u[:, :, None])[:, :, 0]
    to_rotation = -rotations @ skew(u) @ (outer + (np.swapaxes(rotations, 1, 2) - identity) @ cross) / square

    depth = x[:, 2:]
    image = x[:, :2] / depth
    r2 = np.sum(image * image, axis=1, keepdims=True)
    factor = 1 + k1 * r2 + k2 * r2 * r2
    to_image = (focal * factor)[:, :, None] * np.eye(2)
    to_image += (2 * focal * (k1 + 2 * k2 * r2))[:, :, None] * image[:, :, None] * image[:, None]
    to_x = np.concatenate([to_image, -to_image @ image[:, :, None]], axis=2) * (weight[:, None] / depth)[:, :, None]
    to_point = to_x @ rotations

    w, jacobian = weight[:, None], np.empty((len(camera), 2, 11))
    jacobian[:, :, :3] = to_x @ to_rotation
    jacobian[:, :, 3:6] = -to_point
    jacobian[:, :, 6] = w * factor * image
    jacobian[:, :, 7:9] = w[:, :, None] * np.eye(2)
    jacobian[:, :, 9] = w * focal * r2 * image
    jacobian[:, :, 10] = w * focal * r2 * r2 * image
    return jacobian, to_point, image * factor * focal + camera[:, 7:9] - feature


def observations(n):
    def make():
        rng = np.random.default_rng(0)
        camera = np.concatenate(
            [
                rng.uniform(0.1, 0.5, (n, 3)),
                rng.uniform(-0.5, 0.5, (n, 3)),
                rng.uniform(400.0, 600.0, (n, 1)),
                rng.uniform(200.0, 300.0, (n, 2)),
                rng.uniform(-0.1, 0.1, (n, 2)),
            ],
            axis=1,
        )
        point = rng.uniform(-1.0, 1.0, (n, 3)) + np.array([0.0, 0.0, 5.0])
        return camera, point, rng.uniform(0.5, 1.0, n), rng.uniform(0.0, 500.0, (n, 2))

    return make


WORKLOADS = [
    Workload(
        "bundle adjustment Jacobians, 1e4",
        reprojection_error,
        observations(10_000),
        task="jacobian",
        argnums=(0, 1, 2),
        in_axes=(0, 0, 0, 0),
        by_hand=reprojection_jacobians,
    ),
]
